"""Counts of values by bin, compiled; importing this imports numba and compiles.

The bin of each value is computed operation by operation as the definition does it, a block at a
time, which runs in vectors.  Then the block is counted in several rows of counts in turn: behind a
ReLU half of the values lie in one bin, and an addition to a count has to wait for the one before.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from amct_core.kernels.compilation import (
    COUNTS,
    INDICES,
    INT32,
    INTEGER,
    READ,
    REAL,
    ROWS_OF_COUNTS,
    SUM,
    compiled,
)

PIECE = 1 << 15
"""Values that threads share out at least."""
BLOCK = 1 << 11
"""Values whose bins stay in the core's first cache until they are counted."""
_ROWS = 4
_ZERO = np.float32(0)


@compiled(INT32, READ, INDICES, SUM, INT32)
def _bins_of_a_power_of_two(values: Any, bins: Any, per_width: Any, first: Any) -> Any:
    zeros = np.int32(0)
    for i in range(values.shape[0]):
        bins[i] = np.int32(np.floor(np.float64(values[i]) * per_width)) - first
        zeros = np.int32(zeros + (values[i] == _ZERO))
    return zeros


@compiled(INTEGER, READ, INDICES, REAL, REAL, REAL)
def _bins_of_a_range(values: Any, bins: Any, low: Any, width: Any, last: Any) -> int:
    for i in range(values.shape[0]):
        place = np.floor((values[i] - low) / width)
        bins[i] = np.int32(min(max(place, _ZERO), last))
    return 0


@compiled(INTEGER, INDICES, ROWS_OF_COUNTS)
def _count(bins: Any, rows: Any) -> int:
    whole = bins.shape[0] // _ROWS * _ROWS
    for i in range(0, whole, _ROWS):
        rows[0, bins[i]] += 1
        rows[1, bins[i + 1]] += 1
        rows[2, bins[i + 2]] += 1
        rows[3, bins[i + 3]] += 1
    for i in range(whole, bins.shape[0]):
        rows[0, bins[i]] += 1
    return 0


@compiled(INTEGER, ROWS_OF_COUNTS, COUNTS)
def _add_rows(rows: Any, counts: Any) -> int:
    for row in range(rows.shape[0]):
        for i in range(counts.shape[0]):
            counts[i] += rows[row, i]
    return 0


@compiled(INTEGER, READ, COUNTS, SUM, INTEGER)
def count_in_powers_of_two(values: Any, counts: Any, per_width: Any, first: Any) -> int:
    """Add 1 to ``counts[floor(value * per_width) - first]`` for each value.

    Args:
        values: float32 ``[n]``, all of them in a bin.
        counts: int64 ``[bins]``.
        per_width: float64, a power of two, with which the product is exact.
        first: index of the first bin.

    Returns:
        How many values are 0.
    """
    rows = np.zeros((_ROWS, counts.shape[0]), np.int64)
    bins = np.empty(BLOCK, np.int32)
    zeros = 0
    for begin in range(0, values.shape[0], BLOCK):
        block = values[begin : begin + BLOCK]
        own = bins[: block.shape[0]]
        zeros += _bins_of_a_power_of_two(block, own, per_width, np.int32(first))
        _count(own, rows)
    _add_rows(rows, counts)
    return zeros


@compiled(INTEGER, READ, COUNTS, REAL, REAL)
def count_in_range(values: Any, counts: Any, low: Any, width: Any) -> int:
    """Add 1 to ``counts[floor((value - low) / width)]`` for each value, in float32.

    Args:
        values: float32 ``[n]``, finite; one outside counts to the first or the last bin.
        counts: int64 ``[bins]``.
        low, width: float32; the difference is finite, and ``width > 0``.
    """
    rows = np.zeros((_ROWS, counts.shape[0]), np.int64)
    bins = np.empty(BLOCK, np.int32)
    last = np.float32(counts.shape[0] - 1)
    for begin in range(0, values.shape[0], BLOCK):
        block = values[begin : begin + BLOCK]
        own = bins[: block.shape[0]]
        _bins_of_a_range(block, own, low, width, last)
        _count(own, rows)
    _add_rows(rows, counts)
    return 0
