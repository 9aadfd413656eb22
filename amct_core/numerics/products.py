"""Products of matrices: of integers exactly, of float32 rounded once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from amct_core.errors import QuantizationError

_EXACT_IN_FLOAT64 = 2.0**53


def matmul(weights: NDArray[Any], columns: NDArray[Any]) -> NDArray[Any]:
    """Return ``weights @ columns``: int64 for integers, float32 for floats.

    Floats are multiplied and added in float64 and rounded once.  In float32 the order in which a
    BLAS adds decides the last bits, and NumPy's BLAS chooses another order than Caffe's: over the
    2,304 products of a convolution of 3 x 3 over 256 channels NumPy's sum of a small matrix lay
    1.3e-6 (of the largest magnitude) from the true one, Caffe's 1.5e-7.  Rounded once, the result
    lies from Caffe's only as far as Caffe's own lies from the true one, and neither the threads nor
    the batch size of this BLAS change it but in rare ties.

    Integers are multiplied in float64, whose products and sums are exact below 2**53; that is a
    BLAS call instead of a loop.  With int8 weights and inputs within -255..255 the bound is reached
    by no layer that fits in memory, and it is checked all the same.

    Args:
        weights: (M, K).
        columns: (..., K, N).
    """
    if weights.dtype.kind == "f":
        in_double = np.matmul(weights.astype(np.float64), columns.astype(np.float64))
        rounded: NDArray[Any] = in_double.astype(np.float32)
        return rounded
    largest = float(np.abs(columns).max(initial=0))
    per_row = np.abs(weights.astype(np.int64)).sum(axis=1).max(initial=0)
    if largest * float(per_row) >= _EXACT_IN_FLOAT64:
        raise QuantizationError("a sum of integer products may exceed 2**53.")
    product = np.matmul(weights.astype(np.float64), columns.astype(np.float64))
    integers: NDArray[Any] = product.astype(np.int64)
    return integers


def add_bias(result: NDArray[Any], bias: NDArray[Any]) -> NDArray[Any]:
    """Return ``result`` with one value per channel (axis 1) added, in the result's dtype."""
    along = (1, -1) + (1,) * (result.ndim - 2)
    added: NDArray[Any] = result + bias.astype(result.dtype).reshape(along)
    return added
