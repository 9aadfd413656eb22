"""Which windows of kl can be the best: all of them are tried in compiled code, on all cores.

The definition then decides among the few whose divergence is so near to the least that the order of
additions could matter.  So the window is the one that the definition finds, and the time is not.
"""

from __future__ import annotations

from typing import Sequence

import numpy as np

from amct_core.kernels.loading import load
from amct_core.kernels.threads import share_out
from amct_core.numerics import kl
from amct_core.numerics.arrays import Int64Array

_NEAR = 1e-8
"""More than twice as far as a divergence lies from the true one in either computation: some 4,000
terms, together at most 40 in magnitude, each with a few roundings of 1.1e-16."""


def likely_windows(counts: Int64Array, levels: int) -> Sequence[int]:
    """Return those of :func:`kl.windows` that hold every window with the least divergence.

    Args:
        counts, levels: see :func:`kl.best_window`.
    """
    windows = kl.windows(counts, levels)
    kernels = load("kl")
    if kernels is None or not windows:
        return windows
    own = np.ascontiguousarray(counts, np.int64)
    below = np.cumsum(np.pad(own, (1, 0)))
    found = np.empty(len(windows))

    def work(begin: int, end: int) -> None:
        kernels.divergences(own, below, levels, windows[0] + begin, found[begin:end])

    share_out(len(windows), work, least=8)
    least = found.min()
    return [windows[place] for place in np.flatnonzero(found <= least + _NEAR)]
