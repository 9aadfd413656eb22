"""Passes over memory, compiled by numba: rows in parallel, channels in vectors.

Every function works on arrays that the caller allocates.  Arithmetic is that of
:mod:`amct_core.numerics`, operation by operation in float32: no fused multiply-add, no reordering.
"""

from __future__ import annotations

from typing import Any, Callable, TypeVar, cast

import numba
import numpy as np

Function = TypeVar("Function", bound=Callable[..., Any])


def _compiled(function: Function) -> Function:
    """Compile at the first call, and keep the machine code beside the source where possible."""
    return cast(Function, numba.njit(parallel=True, cache=True, nogil=True)(function))


_HALF_EVEN = np.float32(12582912.0)
"""1.5 * 2**23: adding and subtracting it rounds a float32 below 2**22 to the nearest even integer,
as rint does, in two operations that run in vectors."""

_CHUNKS = 64
"""Rows are cut into at most so many pieces of work, each with a buffer of its own."""

_LOW, _HIGH = np.float32(-128), np.float32(127)


@_compiled
def quantize_rows(x: Any, scale: Any, offset: Any, out: Any) -> int:
    """Write ``clamp(rint(x * scale + offset), -128, 127) + 128``; return the number of NaNs.

    Args:
        x: float32 ``[rows, columns]``.
        scale, offset: float32.
        out: uint8 of the same shape.
    """
    nans = 0
    for row in numba.prange(x.shape[0]):
        source, target = x[row], out[row]
        for i in range(x.shape[1]):
            value = source[i] * scale
            value = value + offset
            nans += value != value
            value = min(max(value, _LOW), _HIGH)
            value = (value + _HALF_EVEN) - _HALF_EVEN
            target[i] = np.uint8(np.int32(value) + 128)
    return nans


@_compiled
def unfold(x: Any, pad_value: Any, geometry: Any, first: int, channels: int, out: Any) -> None:
    """Write the windows of ``x`` as rows: one per output position, taps outside, channels inside.

    Args:
        x: uint8 ``[batch, height, width, channels]``.
        pad_value: what padding holds, the quantized zero.
        geometry: kernel, stride, pad, dilation and output size: (kh, kw, sh, sw, ph, pw, dh, dw,
            oh, ow).
        first, channels: which channels to take, those of one group.
        out: uint8 ``[batch * oh * ow, kh * kw * channels]``.
    """
    kh, kw, sh, sw, ph, pw, dh, dw, oh, ow = geometry
    height, width, all_channels = x.shape[1], x.shape[2], x.shape[3]
    whole = dw == 1 and channels == all_channels  # a row of the kernel is one run of memory
    for line in numba.prange(x.shape[0] * oh):
        sample, row = line // oh, line % oh
        for column in range(ow):
            target = out[line * ow + column]
            left = column * sw - pw
            for i in range(kh):
                y = row * sh - ph + i * dh
                span = target[i * kw * channels : (i + 1) * kw * channels]
                if y < 0 or y >= height:
                    for c in range(kw * channels):
                        span[c] = pad_value
                elif whole and left >= 0 and left + kw <= width:
                    run = x[sample, y].reshape(-1)[left * channels : (left + kw) * channels]
                    for c in range(kw * channels):
                        span[c] = run[c]
                else:
                    for j in range(kw):
                        z = left + j * dw
                        tap = span[j * channels : (j + 1) * channels]
                        if z < 0 or z >= width:
                            for c in range(channels):
                                tap[c] = pad_value
                        else:
                            pixel = x[sample, y, z, first : first + channels]
                            for c in range(channels):
                                tap[c] = pixel[c]


@_compiled
def depthwise(x: Any, zero: Any, weights: Any, geometry: Any, out: Any) -> None:
    """Write the accumulators of a convolution whose groups have one input channel each.

    Args:
        x: uint8 ``[batch, height, width, channels]``.
        zero: int32, what stands for zero in ``x``.
        weights: int32 ``[kh, kw, channels]``.
        geometry: see :func:`unfold`.
        out: int32 ``[batch * oh * ow, channels]``.
    """
    kh, kw, sh, sw, ph, pw, dh, dw, oh, ow = geometry
    height, width, channels = x.shape[1], x.shape[2], x.shape[3]
    for line in numba.prange(x.shape[0] * oh):
        sample, row = line // oh, line % oh
        for column in range(ow):
            target = out[line * ow + column]
            target[:] = 0
            for i in range(kh):
                y = row * sh - ph + i * dh
                if y < 0 or y >= height:
                    continue
                for j in range(kw):
                    z = column * sw - pw + j * dw
                    if z < 0 or z >= width:
                        continue
                    source, factor = x[sample, y, z], weights[i, j]
                    for c in range(channels):
                        product = np.int32(np.int32(source[c]) - zero) * factor[c]
                        target[c] = np.int32(target[c] + np.int32(product))


@_compiled
def max_pool(x: Any, geometry: Any, out: Any) -> None:
    """Write the maxima of windows; what lies outside of the input does not count.

    Args:
        x: uint8 or float32 ``[batch, height, width, channels]``.
        geometry: see :func:`unfold`.
        out: ``[batch, oh, ow, channels]``.
    """
    kh, kw, sh, sw, ph, pw, _, _, oh, ow = geometry
    height, width, channels = x.shape[1], x.shape[2], x.shape[3]
    for line in numba.prange(x.shape[0] * oh):
        sample, row = line // oh, line % oh
        for column in range(ow):
            target = out[sample, row, column]
            top, left = max(row * sh - ph, 0), max(column * sw - pw, 0)
            target[:] = x[sample, top, left]
            for y in range(top, min(row * sh - ph + kh, height)):
                for z in range(left, min(column * sw - pw + kw, width)):
                    source = x[sample, y, z]
                    for c in range(channels):
                        target[c] = max(target[c], source[c])


@_compiled
def average_pool(x: Any, geometry: Any, areas: Any, out: Any) -> None:
    """Write the averages of windows: sums row by row, left to right, each divided once.

    Args:
        x: float32 ``[batch, height, width, channels]``.
        geometry: see :func:`unfold`.
        areas: float32 ``[oh, ow]``, what Caffe divides by.
        out: float32 ``[batch, oh, ow, channels]``.
    """
    kh, kw, sh, sw, ph, pw, _, _, oh, ow = geometry
    height, width, channels = x.shape[1], x.shape[2], x.shape[3]
    for line in numba.prange(x.shape[0] * oh):
        sample, row = line // oh, line % oh
        for column in range(ow):
            target = out[sample, row, column]
            target[:] = 0
            for y in range(max(row * sh - ph, 0), min(row * sh - ph + kh, height)):
                for z in range(max(column * sw - pw, 0), min(column * sw - pw + kw, width)):
                    source = x[sample, y, z]
                    for c in range(channels):
                        target[c] = target[c] + source[c]
            area = areas[row, column]
            for c in range(channels):
                target[c] = target[c] / area


@_compiled
def finish(
    accumulators: Any,
    bias: Any,
    shift: Any,
    deq_scale: Any,
    relu: bool,
    residual: Any,
    relu_after: bool,
    floats: Any,
    scale: Any,
    offset: Any,
    integers: Any,
    first: int,
) -> int:
    """Take accumulators to floats, and to the 8-bit values of the next layers, in one pass.

    Returns the number of NaNs among the values, which only ``residual`` can bring in.

    Args:
        accumulators: int32 ``[rows, channels]``.
        bias, shift, deq_scale: int32, int32 (or empty: no shift) and float32 ``[channels]``.
        relu: whether a ReLU follows DeQuant.
        residual: float32 ``[rows, channels]`` to add, or empty.
        relu_after: whether a ReLU follows that sum.
        floats: float32 ``[rows, channels]`` to write, or empty.
        scale, offset: float32, of the Quant behind.
        integers: uint8 ``[rows, at least first + channels]`` to write, or empty.
        first: the column of ``integers`` at which this layer's channels begin.
    """
    rows, channels = accumulators.shape
    shifts, sums = shift.size > 0, residual.size > 0
    writes_floats, quantizes = floats.size > 0, integers.size > 0
    chunks = min(rows, _CHUNKS)
    nans = np.zeros(chunks, np.int64)  # per piece: a sum inside of the loops would be lost
    for chunk in numba.prange(chunks):
        values = np.empty(channels, np.float32)
        for row in range(chunk * rows // chunks, (chunk + 1) * rows // chunks):
            source = accumulators[row]
            if shifts:
                for c in range(channels):
                    # numba adds int32 as int64; the sum is known to fit, so it may be cut at once.
                    shifted = np.int32(np.int32(source[c] + bias[c]) >> shift[c])
                    shifted = min(max(shifted, np.int32(-32768)), np.int32(32767))
                    values[c] = np.float32(np.int32(shifted << shift[c])) * deq_scale[c]
            else:
                for c in range(channels):
                    values[c] = np.float32(np.int32(source[c] + bias[c])) * deq_scale[c]
            if relu:
                for c in range(channels):
                    values[c] = max(values[c], np.float32(0))
            if sums:
                other = residual[row]
                for c in range(channels):
                    values[c] = values[c] + other[c]
                    nans[chunk] += values[c] != values[c]
            if relu_after:
                for c in range(channels):
                    values[c] = max(values[c], np.float32(0))
            if writes_floats:
                kept = floats[row]
                for c in range(channels):
                    kept[c] = values[c]
            if quantizes:
                target = integers[row, first : first + channels]
                for c in range(channels):
                    value = values[c] * scale
                    value = value + offset
                    value = min(max(value, _LOW), _HIGH)
                    value = (value + _HALF_EVEN) - _HALF_EVEN
                    target[c] = np.uint8(np.int32(value) + np.int32(128))
    return int(nans.sum())


@_compiled
def fold(taps: Any, geometry: Any, out: Any) -> None:
    """Add the taps of a deconvolution up where they overlap; padding is cut off.

    Args:
        taps: int32 ``[batch, height, width, kh * kw * channels]``.
        geometry: see :func:`unfold`; the output size is that of ``out``.
        out: int32 ``[batch, oh, ow, channels]``, zero.
    """
    kh, kw, sh, sw, ph, pw, dh, dw, oh, ow = geometry
    height, width, channels = taps.shape[1], taps.shape[2], out.shape[3]
    for line in numba.prange(out.shape[0] * oh):
        sample, row = line // oh, line % oh
        for i in range(kh):
            y, rest = divmod(row + ph - i * dh, sh)
            if rest != 0 or y < 0 or y >= height:
                continue
            for z in range(width):
                for j in range(kw):
                    column = z * sw - pw + j * dw
                    if column < 0 or column >= ow:
                        continue
                    begin = (i * kw + j) * channels
                    source = taps[sample, y, z, begin : begin + channels]
                    target = out[sample, row, column]
                    for c in range(channels):
                        target[c] = np.int32(target[c] + source[c])
