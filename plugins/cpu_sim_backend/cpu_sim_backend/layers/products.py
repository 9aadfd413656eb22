"""Products of integer matrices, exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from amct_core.errors import QuantizationError

_EXACT_IN_FLOAT64 = 2.0**53


def matmul(weights: NDArray[Any], columns: NDArray[Any]) -> NDArray[Any]:
    """Return ``weights @ columns``: int64 for integers, float32 for floats.

    Integers are multiplied in float64, whose products and sums are exact below 2**53; that is a
    BLAS call instead of a loop.  With int8 weights and inputs within -255..255 the bound is reached
    by no layer that fits in memory, and it is checked all the same.

    Args:
        weights: (M, K).
        columns: (..., K, N).
    """
    if weights.dtype.kind == "f":
        result: NDArray[Any] = np.matmul(weights, columns)
        return result
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
