"""The squared errors of IFMR's candidates, compiled; importing this imports numba and compiles."""

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

PIECE = 1 << 13
"""Values that stay in a core's cache while all candidates are tried on them."""
LANES = 64
"""Sums that are kept apart, so that the compiler can use vectors without reordering additions."""

_BELOW_HALF = np.nextafter(np.float32(0.5), np.float32(0))
_ZERO = np.float32(0)


@compiled(INTEGER, READ, WRITE)
def _nonzero(values: Any, result: Any) -> int:
    count = 0
    for i in range(values.shape[0]):
        result[count] = values[i]
        count += int(values[i] != _ZERO)
    return count


@compiled(INTEGER, READ_2D, REAL, REAL, REAL, SUMS)
def _add_errors(rows: Any, low: Any, high: Any, scale: Any, sums: Any) -> int:
    for row in range(rows.shape[0]):
        for lane in range(LANES):
            value = rows[row, lane]
            steps = min(max(value, low), high) / scale
            rounded = np.trunc(steps + np.copysign(_BELOW_HALF, steps))
            error = np.float64(rounded * scale - value)
            sums[lane] += error * error
    return 0


@compiled(INTEGER, READ, READ, READ, READ, SUMS_2D)
def piece_errors(values: Any, low: Any, high: Any, scale: Any, sums: Any) -> int:
    """Write the sum of squared errors of each piece of ``values`` and each candidate.

    Zeros are left out: their error is 0, and behind a ReLU they are half of the values.

    Args:
        values: float32 ``[n]``.
        low, high, scale: float32 ``[candidates]``; low <= 0 <= high.
        sums: float64 ``[ceil(n / PIECE), candidates]``.
    """
    kept = np.zeros(PIECE + LANES, np.float32)
    lanes = np.empty(LANES)
    for piece in range(sums.shape[0]):
        count = _nonzero(values[piece * PIECE : (piece + 1) * PIECE], kept)
        kept[count : count + LANES] = 0
        rows = kept[: (count + LANES - 1) // LANES * LANES].reshape(-1, LANES)
        for candidate in range(scale.shape[0]):
            lanes[:] = 0
            _add_errors(rows, low[candidate], high[candidate], scale[candidate], lanes)
            sums[piece, candidate] = lanes.sum()
    return 0
