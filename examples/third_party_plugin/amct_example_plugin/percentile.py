"""Shift factor N by a percentile: the largest accumulators may saturate int16, all others fit.

Per channel, N is the smallest in 1..16 with ``p <= 32767 * 2**N``, where ``p`` is the 99.9th
percentile of the accumulators' magnitudes in a batch, and the largest one over the batches.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from amct_core.extensions import ShiftSearch
from amct_core.numerics.arrays import along_channels, channel_rows
from amct_core.numerics.shift_search import MAX_SHIFT, MIN_SHIFT

PERCENTILE = 99.9

_INT16_MAX = 32767


class PercentileSearch:
    """The search for one layer.

    Args:
        deq_scale: float32 ``[C]``, or ``[1]`` for a layer with one scale.
        broadcast: all channels share one N.
    """

    def __init__(self, deq_scale: NDArray[np.float32], broadcast: bool) -> None:
        self._deq_scale = deq_scale
        self._broadcast = broadcast
        self._axis = 1 if len(deq_scale) > 1 else None
        self._level = np.zeros(len(deq_scale))

    def observe(self, y: NDArray[np.float32]) -> None:
        """Take in one batch of outputs, (batch, C, ...)."""
        magnitude = np.abs(y / along_channels(self._deq_scale, y, self._axis))
        level = np.percentile(channel_rows(magnitude, self._axis), PERCENTILE, axis=1)
        self._level = np.maximum(self._level, level)

    def result(self) -> NDArray[np.uint8]:
        """Return N per entry of ``deq_scale``."""
        level = np.full_like(self._level, self._level.max()) if self._broadcast else self._level
        shifts = np.arange(MIN_SHIFT, MAX_SHIFT + 1)
        too_small = level[:, np.newaxis] > _INT16_MAX * 2.0**shifts
        return np.minimum(MIN_SHIFT + too_small.sum(axis=1), MAX_SHIFT).astype(np.uint8)


SEARCH = ShiftSearch(name="percentile", start=PercentileSearch)
