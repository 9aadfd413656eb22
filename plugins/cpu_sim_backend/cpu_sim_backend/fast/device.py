"""DeQuant, and what follows it, as a processor computes them that departs from exact float32.

The arithmetic is that of :mod:`amct_core.numerics` (``ascend_v100``, ``ascend_v200``, ``float16``),
operation by operation.  Sums come from memory, a row of channels at a time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from amct_core.extensions.processor_family import FLOAT16, FLOAT16_SCALE, FLOAT32, INTEGERS
from amct_core.graph.attributes import DeQuant
from amct_core.graph.deployed_layers import DeployedLayer
from amct_core.numerics import ascend_v100, ascend_v200, float16
from cpu_sim_backend.fast.compiled import inlined, parallel
from cpu_sim_backend.fast.half import to_half

_CHUNKS = 64
"""Rows are cut into at most so many pieces of work."""
_PIECE = 4096
"""Values in one piece of work."""
_BLOCK = 1024
"""Values in one block of rows, more or less."""
_TO_INTEGER = np.float32(12582912.0)
"""1.5 * 2**23: added to a float32 of up to 2**22 and taken off again, it rounds to an integer."""

_FLOAT32, _FLOAT16, _FLOAT16_SCALE, _INTEGERS = range(4)
_KINDS = {
    FLOAT32: _FLOAT32,
    FLOAT16: _FLOAT16,
    FLOAT16_SCALE: _FLOAT16_SCALE,
    INTEGERS: _INTEGERS,
}


class DeviceDequant(NamedTuple):
    """How a DeQuant computes.

    Attributes:
        kind: what it gives.
        factor: float32 ``[channels]`` or ``[1]``, multiplies.
        twice: whether it is a square root, and multiplies twice.
        offset: float32, of the Quants that are merged.
    """

    kind: int
    factor: Any
    twice: bool
    offset: Any


class DeviceQuant(NamedTuple):
    """How a Quant computes.

    Attributes:
        float16: whether each result is rounded to float16.
        factor: float32, the scale; its float16, or its root in float16.
        twice: whether that is a root, and multiplies twice.
        offset: float32, what is added.
    """

    float16: bool
    factor: Any
    twice: bool
    offset: Any


def device_dequant(layer: DeployedLayer, channels: int) -> DeviceDequant:
    """Return how the DeQuant of ``layer`` computes, with one factor per channel."""
    a, twice = layer.dequant.typed(DeQuant), False
    if a.gives == FLOAT16_SCALE:
        stored = ascend_v100.scale(layer.deq_scale, a.quant_scale)
        factor, twice = stored.d, stored.sqrt_mode
    elif a.gives == FLOAT32:
        factor = layer.deq_scale * np.float32(a.quant_scale)
    else:
        factor = ascend_v200.multiplier(layer.deq_scale, a.quant_scale, layer.shift_n)
    factors = np.empty(channels, np.float32)
    factors[:] = factor
    return DeviceDequant(_KINDS[a.gives], factors, twice, np.float32(a.offset))


def device_quant(scale: float, offset: int, in_float16: bool) -> DeviceQuant:
    """Return how a Quant computes."""
    factor, twice = np.float32(scale), False
    if in_float16:
        twice = bool(factor < np.float32(float16.SMALLEST_NORMAL))
        factor = np.float32(float16.rounded(np.sqrt(factor) if twice else factor))
    return DeviceQuant(in_float16, factor, twice, np.float32(offset))


@inlined
def _to_integer(x: Any, low: Any, high: Any) -> Any:
    within = min(max(x, np.float32(low)), np.float32(high))
    return np.float32(np.float32(within + _TO_INTEGER) - _TO_INTEGER)


@inlined
def _dequantize(sums: Any, shift: Any, factor: Any, d: Any, x: Any) -> None:
    """Fill float32 ``x``; ``shift`` and ``factor`` are as long as it is, or longer."""
    if d.kind == _FLOAT16_SCALE:
        for i in range(x.size):
            x[i] = to_half(np.float64(sums[i]) * np.float64(factor[i]))
        if d.twice:
            for i in range(x.size):
                x[i] = to_half(np.float32(x[i] * factor[i]))
        return
    if shift.size > 0:
        for i in range(x.size):
            short = min(max(sums[i] >> shift[i], -32768), 32767)
            x[i] = np.float32(short << shift[i] if d.kind == _FLOAT32 else short)
    else:
        for i in range(x.size):
            x[i] = np.float32(sums[i])
    if d.kind == _FLOAT32:
        for i in range(x.size):
            x[i] = np.float32(x[i] * factor[i])
    elif d.kind == _FLOAT16:
        for i in range(x.size):
            x[i] = to_half(np.float64(x[i]) * np.float64(factor[i]))
    else:
        for i in range(x.size):
            nine = _to_integer(np.float32(x[i] * factor[i]), -256, 255)
            q = min(max(np.float32(nine + d.offset), np.float32(-128)), np.float32(127))
            x[i] = np.float32(q - d.offset)


@inlined
def _at_least(x: Any, floor: Any) -> None:
    for i in range(x.size):
        x[i] = floor if x[i] < floor else x[i]


@inlined
def _quantize(x: Any, q: Any, is_half: bool) -> None:
    """Scale float32 ``x`` and add the offset, in place.

    ``is_half``: it holds float16 numbers already.
    """
    if not q.float16:
        for i in range(x.size):
            x[i] = np.float32(np.float32(x[i] * q.factor) + q.offset)
    else:
        if not is_half:
            for i in range(x.size):
                x[i] = to_half(x[i])
        if q.factor != np.float32(1):
            for i in range(x.size):
                x[i] = to_half(np.float32(x[i] * q.factor))
        if q.twice:
            for i in range(x.size):
                x[i] = to_half(np.float32(x[i] * q.factor))
        for i in range(x.size):
            x[i] = to_half(np.float32(x[i] + q.offset))


@inlined
def _store(x: Any, out: Any) -> None:
    """Round to integers, clamp, and fill ``out`` with what stands for them: uint8 ``q + 128``."""
    for i in range(x.size):
        out[i] = np.uint8(np.int32(_to_integer(x[i], -128, 127)) + 128)


@inlined
def _any_nan(x: Any) -> Any:
    nans = np.int64(0)
    for i in range(x.size):
        nans |= np.int64(x[i] != x[i])
    return nans


@inlined
def _repeated(values: Any, channels: int, times: int) -> Any:
    result = np.empty(channels * times if values.size > 0 else 0, values.dtype)
    for begin in range(0, result.size, channels):
        for c in range(channels):
            result[begin + c] = values[c]
    return result


@parallel
def finish_as_device(sums: Any, d: Any, q: Any, rounds_sum: bool, f: Any) -> int:
    """Finish sums that are in memory; return 0 if none has become NaN, which only a residual can.

    Args:
        sums: int32 ``[rows, channels]``, with the bias; contiguous like all that ``f`` names.
        d: a :class:`DeviceDequant`.
        q: a :class:`DeviceQuant`.
        rounds_sum: whether the sum with the residual is rounded to float16.
        f: a :class:`.finish.Finish`; its ``deq_scale``, ``scale`` and ``offset`` are not read.
    """
    rows, channels = sums.shape
    # What numba's loops write to must be a variable: elements of a tuple would be copies.
    floats, integers = f.floats, f.integers
    # Several rows at once, as many as make loops worth while where channels are few.
    height = max(1, _BLOCK // max(1, channels))
    chunks = min((rows + height - 1) // height, _CHUNKS)
    nans = np.zeros(chunks, np.int64)  # per piece: a sum inside of the loops would be lost
    is_half = (d.kind == _FLOAT16 or d.kind == _FLOAT16_SCALE) and (
        rounds_sum or f.residual.size == 0
    )
    for chunk in numba.prange(chunks):
        factor, shift = _repeated(d.factor, channels, height), _repeated(f.shift, channels, height)
        buffer = np.empty(height * channels, np.float32)
        last = (chunk + 1) * rows // chunks
        for row in range(chunk * rows // chunks, last, height):
            count = min(height, last - row)
            x = buffer[: count * channels]
            _dequantize(sums[row : row + count].reshape(-1), shift, factor, d, x)
            _at_least(x, f.floor)
            if f.residual.size > 0:
                residual = f.residual[row : row + count].reshape(-1)
                for i in range(x.size):
                    x[i] = np.float32(x[i] + residual[i])
                if rounds_sum:
                    for i in range(x.size):
                        x[i] = to_half(x[i])
                nans[chunk] |= _any_nan(x)
                _at_least(x, f.floor_after)
            if floats.size > 0:
                floats[row : row + count] = x.reshape(count, channels)
            if integers.size > 0:
                _quantize(x, q, is_half)
                for line in range(count):
                    own = x[line * channels : (line + 1) * channels]
                    _store(own, integers[row + line, f.first : f.first + channels])
    return int(nans.max()) if chunks else 0


@parallel
def quantize_as_device(x: Any, q: Any, out: Any) -> int:
    """Fill ``out``, uint8 ``[n]``; return 0 if none of float32 ``x`` is NaN."""
    pieces = (x.size + _PIECE - 1) // _PIECE
    nans = np.zeros(pieces, np.int64)  # per piece: a sum inside of the loops would be lost
    for piece in numba.prange(pieces):
        begin, end = piece * _PIECE, min(x.size, (piece + 1) * _PIECE)
        own = x[begin:end].copy()
        nans[piece] |= _any_nan(own)
        _quantize(own, q, False)
        _store(own, out[begin:end])
    return int(nans.max()) if pieces else 0


@parallel
def round_to_half(x: Any, out: Any) -> None:
    """Fill ``out``, float32 ``[n]``, with ``x`` rounded to float16."""
    pieces = (x.size + _PIECE - 1) // _PIECE
    for piece in numba.prange(pieces):
        for at in range(piece * _PIECE, min(x.size, (piece + 1) * _PIECE)):
            out[at] = to_half(x[at])
