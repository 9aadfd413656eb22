"""ULQ's two passes, compiled; importing this imports numba and compiles.

Arithmetic is that of :mod:`amct_core.numerics.ulq`, operation by operation in float32.  Tensors are
cut into pieces of fixed size, each with sums of its own, so that sums do not depend on the number
of threads.  Within a piece the compiler orders them as vectors want it: the only additions that
follow one another are those of the float64 sums, and a product of two float32 is exact in float64,
so nothing else can change.
"""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np
from numba import types

from amct_core.kernels.compilation import (
    INTEGER,
    READ,
    REAL,
    SUM,
    SUMS,
    SUMS_2D,
    WRITE,
    compiled,
)

PIECE = 1 << 14
"""Elements whose sums are kept: the least that threads share out."""
BLOCK = 1 << 11
"""Elements that are still in the core's first cache when they are read a second time."""
_LOW, _HIGH = np.float32(-128), np.float32(127)
_HALF_EVEN = np.float32(12582912.0)
"""1.5 * 2**23: adding and subtracting it rounds a float32 below 2**22 to the nearest even integer,
as rint does, in two operations that run in vectors."""
_BELOW_HALF = np.nextafter(np.float32(0.5), np.float32(0))
_STEPS = np.float32(255)
_PER_STEP = np.float32(1) / np.float32(255)
_ZERO = np.float32(0)
_TWO_SUMS = types.UniTuple(SUM, 2)
_BLOCK_SUMS = types.Tuple((SUM, SUM, types.int32))


@compiled(INTEGER, READ, WRITE, REAL, REAL, REAL)
def forward(x: Any, y: Any, quant_scale: Any, offset: Any, scale: Any) -> int:
    """Write ``(clamp(rint(x * quant_scale + offset), -128, 127) - offset) * scale``.

    Args:
        x, y: float32 ``[n]``.
        quant_scale, offset, scale: float32; ``offset`` is an integer.

    Returns:
        The number of NaNs in ``x``.
    """
    nans = 0
    for i in range(x.shape[0]):
        value = x[i] * quant_scale
        value = value + offset
        nans += value != value
        value = min(max(value, _LOW), _HIGH)
        value = (value + _HALF_EVEN) - _HALF_EVEN
        y[i] = (value - offset) * scale
    return nans


@compiled(_BLOCK_SUMS, READ, READ, WRITE, REAL, REAL, REAL, any_order=True)
def _backward_block(
    x: Any, top_diff: Any, bottom_diff: Any, low: Any, high: Any, span: Any
) -> Tuple[Any, Any, Any]:
    """Write g where x is in between, else 0.

    Returns:
        The sum of g * D(x) in between, the sum of g beyond the bounds, and how many are below.
    """
    inside, outside, below = np.float64(0), np.float64(0), np.int32(0)
    for i in range(x.shape[0]):
        value, gradient = x[i], top_diff[i]
        is_below = value < low
        is_outside = (value > high) | is_below
        passed = _ZERO if is_outside else gradient
        bottom_diff[i] = passed
        # Clipped, so that an infinite x (whose result is 0) does not become 0 * NaN.
        steps = min(max(value, low), high) * _STEPS / span
        error = (np.trunc(steps + np.copysign(_BELOW_HALF, steps)) - steps) * _PER_STEP
        inside += np.float64(passed) * np.float64(error)
        outside += np.float64(gradient if is_outside else _ZERO)
        below += np.int32(is_below)
    return inside, outside, below


@compiled(_TWO_SUMS, READ, READ, REAL, REAL, any_order=True)
def _sums_beyond(x: Any, top_diff: Any, low: Any, high: Any) -> Tuple[Any, Any]:
    above, below = np.float64(0), np.float64(0)
    for i in range(x.shape[0]):
        above += np.float64(top_diff[i] if x[i] > high else _ZERO)
        below += np.float64(top_diff[i] if x[i] < low else _ZERO)
    return above, below


@compiled(INTEGER, READ, READ, WRITE, REAL, REAL, REAL, SUMS)
def _backward_piece(
    x: Any, top_diff: Any, bottom_diff: Any, low: Any, high: Any, span: Any, sums: Any
) -> int:
    sums[:] = 0
    for begin in range(0, x.shape[0], BLOCK):
        end = min(begin + BLOCK, x.shape[0])
        values, gradients = x[begin:end], top_diff[begin:end]
        inside, outside, count_below = _backward_block(
            values, gradients, bottom_diff[begin:end], low, high, span
        )
        above, below = outside, 0.0
        if count_below:
            above, below = _sums_beyond(values, gradients, low, high)
        sums[0] += above
        sums[1] += below
        sums[2] += inside
    return 0


@compiled(INTEGER, READ, READ, WRITE, REAL, REAL, REAL, SUMS_2D)
def backward(
    x: Any, top_diff: Any, bottom_diff: Any, low: Any, high: Any, span: Any, sums: Any
) -> int:
    """Write the gradient of ``x`` and what the gradients of the bounds are made of.

    Args:
        x, top_diff: float32 ``[n]``.
        bottom_diff: float32 ``[n]``, or ``[0]`` where nobody needs it.
        low, high: the snapped bounds.
        span: clip_max - clip_min.
        sums: float64 ``[ceil(n / PIECE), 3]``, per piece: of g above, of g below, of g * D(x) in
            between.
    """
    unwanted = np.empty(PIECE if bottom_diff.shape[0] == 0 else 0, np.float32)
    for piece in range(sums.shape[0]):
        begin, end = piece * PIECE, min((piece + 1) * PIECE, x.shape[0])
        out = bottom_diff[begin:end] if bottom_diff.shape[0] else unwanted[: end - begin]
        _backward_piece(x[begin:end], top_diff[begin:end], out, low, high, span, sums[piece])
    return 0
