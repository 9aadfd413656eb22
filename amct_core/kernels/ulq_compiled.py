"""ULQ's two passes, compiled; importing this imports numba and compiles.

Arithmetic is that of :mod:`amct_core.numerics.ulq`, operation by operation in float32.  Tensors are
cut into pieces of fixed size, each with sums of its own, so that sums do not depend on the number
of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from amct_core.kernels.compilation import (
    INTEGER,
    READ,
    READ_2D,
    REAL,
    SUMS,
    SUMS_2D,
    WRITE,
    compiled,
)

PIECE = 1 << 14
"""Elements whose sums are kept: the least that threads share out."""
BLOCK = 1 << 11
"""Elements whose products with D(x) stay in the core's first cache."""
LANES = 64
"""Sums that are kept apart, so that the compiler can use vectors without reordering additions."""

_LOW, _HIGH = np.float32(-128), np.float32(127)
_HALF_EVEN = np.float32(12582912.0)
"""1.5 * 2**23: adding and subtracting it rounds a float32 below 2**22 to the nearest even integer,
as rint does, in two operations that run in vectors."""
_BELOW_HALF = np.nextafter(np.float32(0.5), np.float32(0))
_STEPS = np.float32(255)
_PER_STEP = np.float32(1) / np.float32(255)
_ZERO = np.float32(0)


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


@compiled(INTEGER, READ, READ, WRITE, REAL, REAL, REAL, SUMS)
def _backward_block(
    x: Any, top_diff: Any, bottom_diff: Any, low: Any, high: Any, span: Any, products: Any
) -> int:
    """Write g where x is in between, else 0, and its product with D(x); return how many are 0."""
    clipped = 0
    for i in range(x.shape[0]):
        value, gradient = x[i], top_diff[i]
        outside = (value > high) | (value < low)
        passed = _ZERO if outside else gradient
        clipped += int(outside)
        bottom_diff[i] = passed
        # Clipped, so that an infinite x (whose result is 0) does not become 0 * NaN.
        steps = min(max(value, low), high) * _STEPS / span
        error = (np.trunc(steps + np.copysign(_BELOW_HALF, steps)) - steps) * _PER_STEP
        products[i] = np.float64(passed) * np.float64(error)
    return clipped


@compiled(INTEGER, READ_2D, READ_2D, REAL, REAL, SUMS, SUMS)
def _add_clipped(x: Any, top_diff: Any, low: Any, high: Any, above: Any, below: Any) -> int:
    for row in range(x.shape[0]):
        for lane in range(LANES):
            value, gradient = x[row, lane], top_diff[row, lane]
            above[lane] += gradient if value > high else _ZERO
            below[lane] += gradient if value < low else _ZERO
    return 0


@compiled(INTEGER, SUMS_2D, SUMS)
def _add(values: Any, sums: Any) -> int:
    for row in range(values.shape[0]):
        for lane in range(LANES):
            sums[lane] += values[row, lane]
    return 0


@compiled(INTEGER, READ, READ, WRITE, REAL, REAL, REAL, SUMS)
def _backward_piece(
    x: Any, top_diff: Any, bottom_diff: Any, low: Any, high: Any, span: Any, sums: Any
) -> int:
    above, below, inside = np.zeros(LANES), np.zeros(LANES), np.zeros(LANES)
    products = np.zeros(BLOCK)
    for begin in range(0, x.shape[0], BLOCK):
        end = min(begin + BLOCK, x.shape[0])
        values, gradients, length = x[begin:end], top_diff[begin:end], end - begin
        products[length:] = 0
        clipped = _backward_block(
            values, gradients, bottom_diff[begin:end], low, high, span, products[:length]
        )
        _add(products.reshape(-1, LANES), inside)
        if clipped:
            whole = length // LANES * LANES
            rows = values[:whole].reshape(-1, LANES), gradients[:whole].reshape(-1, LANES)
            _add_clipped(rows[0], rows[1], low, high, above, below)
            for i in range(whole, length):
                above[0] += gradients[i] if values[i] > high else _ZERO
                below[0] += gradients[i] if values[i] < low else _ZERO
    sums[0], sums[1], sums[2] = above.sum(), below.sum(), inside.sum()
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
