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
    INT32,
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
_TWO_COUNTS = types.UniTuple(INT32, 2)


@compiled(INT32, READ, WRITE, REAL, REAL, REAL)
def _forward_piece(x: Any, y: Any, quant_scale: Any, offset: Any, scale: Any) -> Any:
    nans = np.int32(0)
    for i in range(x.shape[0]):
        value = x[i] * quant_scale
        value = value + offset
        nans = np.int32(nans + (value != value))
        value = min(max(value, _LOW), _HIGH)
        value = (value + _HALF_EVEN) - _HALF_EVEN
        y[i] = (value - offset) * scale
    return nans


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
    for begin in range(0, x.shape[0], PIECE):
        end = min(begin + PIECE, x.shape[0])
        nans += _forward_piece(x[begin:end], y[begin:end], quant_scale, offset, scale)
    return nans


@compiled(_TWO_COUNTS, READ, READ, WRITE, WRITE, REAL, REAL, REAL)
def _backward_block(
    x: Any, top_diff: Any, bottom_diff: Any, errors: Any, low: Any, high: Any, span: Any
) -> Tuple[Any, Any]:
    """Write g and D(x) where x is in between, else 0; return how many x are above and below."""
    above, below = np.int32(0), np.int32(0)
    for i in range(x.shape[0]):
        value, gradient = x[i], top_diff[i]
        is_above, is_below = value > high, value < low
        is_beyond = is_above | is_below
        bottom_diff[i] = _ZERO if is_beyond else gradient
        steps = value * _STEPS / span
        error = (np.trunc(steps + np.copysign(_BELOW_HALF, steps)) - steps) * _PER_STEP
        # Where x is infinite the error is NaN, and so would be its product with 0.
        errors[i] = _ZERO if is_beyond else error
        above = np.int32(above + is_above)
        below = np.int32(below + is_below)
    return above, below


@compiled(SUM, READ, READ, any_order=True)
def _sum_of_products(a: Any, b: Any) -> Any:
    total = np.float64(0)
    for i in range(a.shape[0]):
        total += np.float64(a[i]) * np.float64(b[i])
    return total


@compiled(SUM, READ, READ, REAL, any_order=True)
def _sum_above(x: Any, top_diff: Any, high: Any) -> Any:
    total = np.float64(0)
    for i in range(x.shape[0]):
        total += np.float64(top_diff[i] if x[i] > high else _ZERO)
    return total


@compiled(SUM, READ, READ, REAL, any_order=True)
def _sum_below(x: Any, top_diff: Any, low: Any) -> Any:
    total = np.float64(0)
    for i in range(x.shape[0]):
        total += np.float64(top_diff[i] if x[i] < low else _ZERO)
    return total


@compiled(INTEGER, READ, READ, WRITE, WRITE, REAL, REAL, REAL, SUMS)
def _backward_piece(
    x: Any, top_diff: Any, bottom_diff: Any, errors: Any, low: Any, high: Any, span: Any, sums: Any
) -> int:
    sums[:] = 0
    for begin in range(0, x.shape[0], BLOCK):
        end = min(begin + BLOCK, x.shape[0])
        values, gradients, passed = x[begin:end], top_diff[begin:end], bottom_diff[begin:end]
        own = errors[: end - begin]
        above, below = _backward_block(values, gradients, passed, own, low, high, span)
        if above:
            sums[0] += _sum_above(values, gradients, high)
        if below:
            sums[1] += _sum_below(values, gradients, low)
        sums[2] += _sum_of_products(passed, own)
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
    errors = np.empty(BLOCK, np.float32)
    for piece in range(sums.shape[0]):
        begin, end = piece * PIECE, min((piece + 1) * PIECE, x.shape[0])
        out = bottom_diff[begin:end] if bottom_diff.shape[0] else unwanted[: end - begin]
        _backward_piece(
            x[begin:end], top_diff[begin:end], out, errors, low, high, span, sums[piece]
        )
    return 0
