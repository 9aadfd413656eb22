"""ARQ's fake quantization, compiled; importing this imports numba and compiles.

Arithmetic is that of :mod:`amct_core.numerics.arq`, operation by operation in float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from amct_core.kernels.compilation import (
    INT32,
    INTEGER,
    READ,
    READ_3D,
    REAL,
    WRITE,
    WRITE_3D,
    compiled,
)

ROW = 1 << 9
"""Weights that are quantized at a time, and then written if one of them differs.  They, what is
there and the rest of a channel should fit into the core's first cache."""

_INFINITY_KEY = np.int32(0x7F800000)
_MAGNITUDE = np.int32(0x7FFFFFFF)
_LOW, _HIGH = np.float32(-128), np.float32(127)
_BELOW_HALF = np.nextafter(np.float32(0.5), np.float32(0))
_ZERO, _ONE = np.float32(0), np.float32(1)
_EPSILON = np.float32(2.0**-23)
_KEYS = types.Array(INT32, 1, "C")
_KEYS_2D = _KEYS.copy(ndim=2)
_BITS = types.Array(INT32, 1, "C", readonly=True)
_BITS_3D = types.Array(INT32, 3, "C", readonly=True)


@compiled(INTEGER, _BITS_3D, INTEGER, _KEYS)
def _extremes(weights: Any, channel: int, result: Any) -> int:
    """Write the least and the greatest weight of a channel, as keys.

    A key is the weight's bits, changed so that integers compare as the floats do; NaNs are beyond
    infinity.  Integers have a minimum and maximum that run in vectors.

    Args:
        weights: int32 bits ``[outer, C, inner]``.
        result: int32 ``[2]``.
    """
    least, greatest = np.int32(0x7FFFFFFF), np.int32(-0x80000000)
    for outer in range(weights.shape[0]):
        row = weights[outer, channel]
        for i in range(row.shape[0]):
            key = np.int32(row[i] ^ ((row[i] >> np.int32(31)) & _MAGNITUDE))
            least = min(least, key)
            greatest = max(greatest, key)
    result[0], result[1] = least, greatest
    return 0


@compiled(INT32, READ, REAL, REAL, REAL, WRITE, _BITS)
def _fake_quantize_row(
    weights: Any, sign: Any, scale: Any, signed_scale: Any, out: Any, there: Any
) -> Any:
    """Write quantized weights; return 0 if all have the bits that are ``there``."""
    different = np.int32(0)
    for i in range(weights.shape[0]):
        steps = weights[i] * sign / scale
        steps = min(max(steps, _LOW), _HIGH)
        steps = np.trunc(steps + np.copysign(_BELOW_HALF, steps))
        value = np.float32((steps + _ZERO) * signed_scale)  # adding 0 makes 0 of -0, as int8 does
        out[i] = value
        different = np.int32(different | (value.view(np.int32) ^ there[i]))
    return different


@compiled(INTEGER, READ_3D, _KEYS_2D, INTEGER, INTEGER)
def extremes(weights: Any, keys: Any, begin: int, end: int) -> int:
    """Write the least and the greatest weight of channels, as keys for :func:`scale_of`.

    Args:
        weights: float32 ``[outer, C, inner]``.
        keys: int32 ``[C, 2]``.
        begin, end: of the channels to do.
    """
    bits = weights.view(np.int32)
    for channel in range(begin, end):
        _extremes(bits, channel, keys[channel])
    return 0


@compiled(INTEGER, READ_3D, WRITE_3D, INTEGER, REAL, REAL, WRITE)
def _fake_quantize(weights: Any, out: Any, channel: int, sign: Any, scale: Any, row: Any) -> int:
    written = 0
    signed_scale = sign * scale
    for outer in range(weights.shape[0]):
        source, target = weights[outer, channel], out[outer, channel]
        for begin in range(0, source.shape[0], ROW):
            end = min(begin + ROW, source.shape[0])
            own, there = row[: end - begin], target[begin:end]
            part = source[begin:end]
            if _fake_quantize_row(part, sign, scale, signed_scale, own, there.view(np.int32)):
                there[:] = own
                written += end - begin
    return written


@compiled(REAL, INT32, INT32, REAL)
def scale_of(least: Any, greatest: Any, sign: Any) -> Any:
    """Return the scale of ``sign * w`` from the keys of a channel; 0 where it has none."""
    if least <= -_INFINITY_KEY - np.int32(1) or greatest >= _INFINITY_KEY:
        return _ZERO
    keys = np.empty(2, np.int32)
    keys[0] = least ^ ((least >> np.int32(31)) & _MAGNITUDE)
    keys[1] = greatest ^ ((greatest >> np.int32(31)) & _MAGNITUDE)
    values = keys.view(np.float32)
    low, high = values[0], values[1]
    if sign < _ZERO:
        low, high = -high, -low
    extreme = high if abs(high) > abs(low) else low
    scale = extreme / (_HIGH if extreme > _ZERO else _LOW)
    if scale < _EPSILON:
        scale = _ONE
    return scale if _ONE / scale >= _EPSILON else _ZERO


@compiled(INTEGER, READ_3D, WRITE_3D, READ, REAL, INTEGER, INTEGER)
def fake_quantize_with(weights: Any, out: Any, signs: Any, scale: Any, begin: int, end: int) -> int:
    """Write ``sign * clamp(round(sign * w / scale), -128, 127) * scale`` where ``out`` differs.

    Args:
        weights, out: float32 ``[outer, C, inner]``.
        signs: float32 ``[C]`` of 1 and -1.
        scale: of all channels, above 0.
        begin, end: of the channels to do.

    Returns:
        How many values were written, rows of up to ROW at a time.
    """
    written = 0
    row = np.empty(ROW, np.float32)
    for channel in range(begin, end):
        written += _fake_quantize(weights, out, channel, signs[channel], scale, row)
    return written


@compiled(INTEGER, READ_3D, WRITE_3D, READ, WRITE, INTEGER, INTEGER)
def fake_quantize_channels(
    weights: Any, out: Any, signs: Any, scales: Any, begin: int, end: int
) -> int:
    """Find the scale of each channel and fake-quantize it while it is in the cache.

    Args:
        weights, out: float32 ``[outer, C, inner]``; see :func:`fake_quantize_with`.
        signs: float32 ``[C]`` of 1 and -1.
        scales: float32 ``[C]``, written; 0 where a channel has none, which leaves it untouched.
        begin, end: of the channels to do.

    Returns:
        How many values were written, rows of up to ROW at a time.
    """
    written = 0
    keys, row = np.empty(2, np.int32), np.empty(ROW, np.float32)
    bits = weights.view(np.int32)
    for channel in range(begin, end):
        _extremes(bits, channel, keys)
        scale = scale_of(keys[0], keys[1], signs[channel])
        scales[channel] = scale
        if scale > _ZERO:
            written += _fake_quantize(weights, out, channel, signs[channel], scale, row)
    return written
