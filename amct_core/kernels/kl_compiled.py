"""The divergences of kl's windows, compiled; importing this imports numba and compiles.

The terms of :func:`amct_core.numerics.kl.divergence`, put together another way: a group's bins all
have the same ``q``, so its logarithm is taken once; and smoothing leaves the sums of ``p`` and of
``q`` as they were.  So the results differ from the definition's in the last digits.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from amct_core.kernels.compilation import COUNTS, INTEGER, SUM, SUMS, compiled

_SMOOTHING = 1e-4


@compiled(SUM, COUNTS, COUNTS, INTEGER, INTEGER, INTEGER)
def _divergence(counts: Any, below: Any, start: Any, end: Any, levels: Any) -> Any:
    total = below[below.shape[0] - 1]
    if below[end] == below[start]:
        return np.inf
    size = end - start
    p = counts[start:end].copy()
    p[0] += below[start]
    p[size - 1] += total - below[end]
    filled = 0
    for k in range(size):
        filled += p[k] != 0
    p_given = _SMOOTHING * (size - filled) / filled
    divergence = (size - filled) * _SMOOTHING * math.log(_SMOOTHING)
    for k in range(size):
        if p[k] != 0:
            divergence += (p[k] - p_given) * math.log(p[k] - p_given)

    width = size // levels
    shares, weights = np.zeros(levels + 1), np.zeros(levels + 1)
    q_total, q_filled = 0.0, 0
    for group in range(levels + 1):
        first = group * width
        last = first + width if group < levels else size  # behind the last group q is 0
        inside, bins = 0, 0
        for k in range(first, last):
            inside += p[k]
            bins += p[k] != 0
        weights[group] = inside - bins * p_given + (last - first - bins) * _SMOOTHING
        if group < levels and bins:
            until = start + last if group < levels - 1 else end
            shares[group] = (below[until] - below[start + first]) // bins
            q_total += shares[group] * width
            q_filled += width * (shares[group] > 0)
    if not q_filled:
        return np.inf
    q_given = _SMOOTHING * (size - q_filled) / q_filled
    for group in range(levels + 1):
        q = shares[group] - q_given if shares[group] > 0 else _SMOOTHING
        divergence -= weights[group] * math.log(q)
    return divergence / total - math.log(total) + math.log(q_total)


@compiled(INTEGER, COUNTS, COUNTS, INTEGER, INTEGER, SUMS)
def divergences(counts: Any, below: Any, levels: Any, first: Any, result: Any) -> int:
    """Write the divergences of windows of growing size, infinity where there is none.

    Args:
        counts: int64 ``[2 m]``; bin ``m`` begins at 0.
        below: int64 ``[2 m + 1]``, the sums of all counts before each edge.
        levels: groups of bins.
        first: the ``i`` of the first window, at least ``levels / 2``.
        result: float64 ``[windows]``.
    """
    half = counts.shape[0] // 2
    for window in range(result.shape[0]):
        i = first + window
        end = min(half + i + 1, 2 * half)
        result[window] = _divergence(counts, below, half - i, end, levels)
    return 0
