"""Quantized AVE Pooling.

Caffe averages over a window's *area*, which counts padding but ends where the padding ends::

    start = i * stride - pad
    area  = (min(start_h + kh, height + pad_h) - start_h) * (the same for the width)

On ``q - offset`` Caffe's float32 average gives back the integer sum ``S = rint(average * area)``,
multiplied in float64.  It is off by at most ``|S| * 2**-24`` before rounding, so it is exact below
2**23, that is for windows of up to 32,896 values.  The output is::

    float32(S) * deq_scale                            where the area is kh * kw
    float32(S) * deq_scale * float32(kh*kw / area)    elsewhere

with ``deq_scale = float32(scale_d / (kh * kw))``; each operation is rounded to float32, in this
order.  There are no weights, no bias and no N.

Source: Caffe's pooling_layer.cpp; CANN's PoolingFusionPass (pooling_matrix_pass.cc), which uses
weights of 1 and multiplies by ``kh*kw / area`` where the areas differ.
"""

from __future__ import annotations

from typing import Tuple

import numpy as np

from amct_core.errors import ModelError, QuantizationError
from amct_core.numerics.affine import QUANT_STEPS
from amct_core.numerics.arrays import (
    Array,
    Float32Array,
    Float64Array,
    Int32Array,
    Int64Array,
    Real,
)
from amct_core.numerics.windows import pooled_size

Pair = Tuple[int, int]
"""(height, width)."""

MAX_WINDOW = (2**23 - 1) // QUANT_STEPS
"""Largest kh * kw whose integer sum can be recovered from a float32 average."""


def output_size(
    height: int, width: int, kernel: Pair, stride: Pair, pad: Pair, ceil_mode: bool = True
) -> Pair:
    """Return (height, width) of the output as Caffe computes them.

    ``ceil((size + 2 * pad - kernel) / stride) + 1`` (floor with ``ceil_mode=False``), less one if
    there is padding and the last window would start beyond the input and the padding before it.

    Raises:
        ModelError: the kernel is larger than the padded input, or a window lies outside of it.
    """
    sizes = (height, width)
    padded = any(pad)
    return (
        _length(sizes[0], kernel[0], stride[0], pad[0], padded, ceil_mode),
        _length(sizes[1], kernel[1], stride[1], pad[1], padded, ceil_mode),
    )


def window_areas(
    height: int, width: int, kernel: Pair, stride: Pair, pad: Pair, ceil_mode: bool = True
) -> Int64Array:
    """Return the area by which Caffe divides each output, int64 ``[out_height, out_width]``.

    Raises:
        ModelError: see :func:`output_size`.
    """
    out_height, out_width = output_size(height, width, kernel, stride, pad, ceil_mode)
    return np.multiply.outer(
        _extents(height, kernel[0], stride[0], pad[0], out_height),
        _extents(width, kernel[1], stride[1], pad[1], out_width),
    )


def deq_scale(scale_d: Real, kernel: Pair) -> np.float32:
    """Return ``float32(scale_d / (kh * kw))``, what the deployed layer stores."""
    return np.float32(scale_d) / np.float32(kernel[0] * kernel[1])


def integer_sums(averages: Float32Array, areas: Int64Array) -> Int32Array:
    """Return ``S = rint(average * area)`` from Caffe's averages of ``q - offset``.

    Args:
        averages: float32 ``[..., out_height, out_width]``.
        areas: of :func:`window_areas`.

    Raises:
        QuantizationError: a window is too large for the sum to be recovered exactly.
    """
    if areas.max() > MAX_WINDOW:
        raise QuantizationError(
            f"a pooling window has {areas.max()} values; at most {MAX_WINDOW} are exact.",
            remedy="Leave this layer unquantized (retrain_enable: false; after training, "
            "quant_enable: false).",
        )
    sums: Float64Array = np.rint(averages.astype(np.float64) * areas)
    return sums.astype(np.int32)


def dequantize_sum(sums: Array, deq_scale: Real, areas: Int64Array, kernel: Pair) -> Float32Array:
    """Return the averages that integer sums stand for.

    Args:
        sums: integers ``S``, ``[..., out_height, out_width]``, below 2**24 in magnitude.
        deq_scale: float32, of :func:`deq_scale`.
        areas: of :func:`window_areas`.
        kernel: (kh, kw).

    Returns:
        float32 of the shape of ``sums``.
    """
    result: Float32Array = np.asarray(sums).astype(np.float32)
    result *= np.float32(deq_scale)
    # Multiplying by 1 changes nothing, so one multiplication serves full and clipped windows alike.
    result *= area_factors(areas, kernel)
    return result


def area_factors(areas: Int64Array, kernel: Pair) -> Float32Array:
    """Return ``float32(kh*kw / area)`` of each window: 1 except where the padding ends."""
    factors: Float32Array = np.float32(kernel[0] * kernel[1]) / areas.astype(np.float32)
    return factors


def _length(size: int, kernel: int, stride: int, pad: int, padded: bool, ceil_mode: bool) -> int:
    span = size + 2 * pad - kernel
    if span < 0:
        raise ModelError(
            f"a pooling kernel of {kernel} does not fit an input of {size} with padding {pad}.",
            remedy="Check kernel_size and pad against the size of the input.",
        )
    length = pooled_size(size, kernel, stride, pad, padded, ceil_mode)
    if (length - 1) * stride >= size + 2 * pad:
        raise ModelError(
            f"the last pooling window (input {size}, kernel {kernel}, stride {stride}, pad {pad}) "
            "lies outside of its input.",
            remedy="Choose a stride of at most the kernel.",
        )
    return length


def _extents(size: int, kernel: int, stride: int, pad: int, length: int) -> Int64Array:
    starts = np.arange(length, dtype=np.int64) * stride - pad
    ends: Int64Array = np.minimum(starts + kernel, size + pad)
    return ends - starts
