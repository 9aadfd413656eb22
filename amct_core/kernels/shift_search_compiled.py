"""The squared errors of the shift factors, compiled; importing this imports numba and compiles."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from amct_core.kernels.compilation import INTEGER, READ, READ_3D, REAL, SUMS, SUMS_2D, compiled

SHIFTS = 16
PIECE = 1 << 10
"""Accumulators that stay in a core's first cache while all shifts are tried on them."""
LANES = 64
"""Sums that are kept apart, so that the compiler can use vectors without reordering additions."""

_BELOW_HALF = np.nextafter(np.float32(0.5), np.float32(0))
_LEAST, _GREATEST = np.float32(-(2.0**31)), np.float32(2.0**31)
_INT32_MAX = np.float64(2**31 - 1)
_LOW, _HIGH = np.float64(-(2**15)), np.float64(2**15 - 1)
_FLAG = types.boolean


@compiled(INTEGER, READ, REAL, SUMS)
def _accumulators(outputs: Any, deq_scale: Any, result: Any) -> int:
    for i in range(outputs.shape[0]):
        quotient = outputs[i] / deq_scale
        quotient = min(max(quotient, _LEAST), _GREATEST)
        rounded = np.trunc(quotient + np.copysign(_BELOW_HALF, quotient))
        result[i] = min(np.float64(rounded), _INT32_MAX)
    return 0


@compiled(INTEGER, SUMS_2D, types.float64, types.float64, _FLAG, SUMS)
def _add_errors(rows: Any, factor: Any, power: Any, floors: bool, sums: Any) -> int:
    if floors:
        for row in range(rows.shape[0]):
            for lane in range(LANES):
                quotient = np.floor(rows[row, lane] * factor)
                error = min(max(quotient, _LOW), _HIGH) * power - rows[row, lane]
                sums[lane] += error * error
    else:
        for row in range(rows.shape[0]):
            for lane in range(LANES):
                quotient = np.trunc(rows[row, lane] * factor)
                error = min(max(quotient, _LOW), _HIGH) * power - rows[row, lane]
                sums[lane] += error * error
    return 0


@compiled(INTEGER, READ, REAL, _FLAG, SUMS, SUMS_2D)
def _add_row(outputs: Any, deq_scale: Any, floors: bool, accumulators: Any, lanes: Any) -> int:
    for begin in range(0, outputs.shape[0], PIECE):
        length = min(PIECE, outputs.shape[0] - begin)
        _accumulators(outputs[begin : begin + length], deq_scale, accumulators[:length])
        whole = (length + LANES - 1) // LANES * LANES
        accumulators[length:whole] = 0  # whose error is 0
        rows = accumulators[:whole].reshape(-1, LANES)
        power = 1.0
        for shift in range(SHIFTS):
            power *= 2
            _add_errors(rows, 1 / power, power, floors, lanes[shift])
    return 0


@compiled(INTEGER, READ_3D, READ, _FLAG, SUMS_2D, INTEGER, INTEGER)
def add_errors(outputs: Any, deq_scale: Any, floors: bool, sums: Any, begin: int, end: int) -> int:
    """Add the squared errors of outputs at each shift.

    Args:
        outputs: float32 ``[batch, C, n]``, finite.
        deq_scale: float32 ``[C]``, above 0.
        floors: the quotient is floored, not truncated.
        sums: float64 ``[C, 16]``, for shifts 1..16.
        begin, end: of the channels to do.
    """
    accumulators = np.zeros(PIECE)
    for channel in range(begin, end):
        lanes = np.zeros((SHIFTS, LANES))
        for image in range(outputs.shape[0]):
            _add_row(outputs[image, channel], deq_scale[channel], floors, accumulators, lanes)
        for shift in range(SHIFTS):
            sums[channel, shift] += lanes[shift].sum()
    return 0
