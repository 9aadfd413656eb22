"""What numba compiles; importing this imports numba."""

from __future__ import annotations

from typing import Any, Callable, cast

import numba
import numpy as np

PIECE = 1 << 15
LANES = 256
"""Sums that are kept apart, so that the compiler can use vectors without reordering additions."""

_BELOW_HALF = np.nextafter(np.float32(0.5), np.float32(0))


def _piece_errors(values: Any, low: Any, high: Any, scale: Any, out: Any) -> None:
    """Write the sum of squared errors of each piece of ``values`` and each candidate.

    Args:
        values: float32 ``[n]``.
        low, high, scale: float32 ``[candidates]``.
        out: float64 ``[ceil(n / PIECE), candidates]``.
    """
    for piece in numba.prange(out.shape[0]):
        begin, end = piece * PIECE, min((piece + 1) * PIECE, values.shape[0])
        own = values[begin:end]
        sums = np.empty(LANES, np.float64)
        for candidate in range(scale.shape[0]):
            least, most, step = low[candidate], high[candidate], scale[candidate]
            sums[:] = 0
            whole = own.shape[0] // LANES * LANES
            for i in range(0, whole, LANES):
                for lane in range(LANES):
                    value = own[i + lane]
                    steps = min(max(value, least), most) / step
                    rounded = np.trunc(steps + np.copysign(_BELOW_HALF, steps))
                    error = np.float64(np.float32(rounded * step) - value)
                    sums[lane] += error * error
            for i in range(whole, own.shape[0]):
                value = own[i]
                steps = min(max(value, least), most) / step
                rounded = np.trunc(steps + np.copysign(_BELOW_HALF, steps))
                error = np.float64(np.float32(rounded * step) - value)
                sums[0] += error * error
            out[piece, candidate] = sums.sum()


piece_errors = cast(
    "Callable[..., None]", numba.njit(parallel=True, cache=True, nogil=True)(_piece_errors)
)
"""The same, compiled at its first call and kept beside this file where possible."""
