"""kl: the range whose quantized distribution differs least from that of the data (entropy).

Over the histogram (:mod:`amct_core.numerics.histogram`) with at most 2048 bins on either side of 0,
both sides filled up to the same number ``m`` of bins.  For each ``i`` from ``levels / 2`` to ``m``
the window holds the bins from ``-i`` to ``i`` (``i - 1`` for ``i = m``), ``k`` of them, and::

    p = counts of the window; the counts left and right of it are added to its first and last bin
    q = counts of the window, merged into ``levels`` groups of ``floor(k / levels)`` bins; each bin
        of a group gets the group's count divided by the number of its bins where ``p`` is not 0,
        an integer, rounded down (0 if there is none); what remains at the right end of the window
        counts to the last group, but gets nothing of it
    p, q = smoothed: bins that are 0 become 1e-4, which the others give up in equal parts
    divergence = sum(p / sum(p) * log((p / sum(p)) / (q / sum(q))))

The first window with the least divergence gives ``high = (i + 1) * w`` (``i * w`` for ``i = m``)
and ``low = -i * w``, cut at the range of the data; scale and offset are
:func:`amct_core.numerics.clipping.factors` of them.

``levels`` is 256, as int8 has; 512 for data of one sign with an offset, whose grid puts all 256 on
one half of the window.

Values that are exactly 0 are left out: every grid has them, and behind a ReLU their number would
make any window look bad whose groups are wider than one bin.

Source: onnxruntime, EntropyCalibrater (get_entropy_threshold, smooth_distribution), after MXNet and
NVIDIA's "8-bit inference with TensorRT" (GTC 2017).  Its peculiarities are kept, so that the two
choose alike: the integers, and the right end of the window, which is a price on values that are
clipped.  What follows from the smoothing is float64 here and float32 there.
"""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.numerics.arrays import Float64Array, Int64Array
from amct_core.numerics.clipping import factors
from amct_core.numerics.histogram import Histogram, HistogramCalibration

HALF_BINS = 2048
LEVELS = 256
_SMOOTHING = 1e-4


@attrs.define(kw_only=True)
class Kl(HistogramCalibration):
    """The calibration of one blob."""

    def result(self) -> Tuple[np.float32, int]:
        """Return ``(scale, offset)``.

        Raises:
            QuantizationError: nothing was observed, or the scale is too large.
        """
        seen = self.histogram.seen
        seen.check()
        one_sign = seen.low == 0 or seen.high == 0
        histogram = _narrowed(self.histogram)
        counts = _around_zero(histogram)
        levels = 2 * LEVELS if one_sign and self.with_offset else LEVELS
        window = best_window(counts, levels, self._windows(counts, levels))
        if window is None:
            return factors(seen.high, seen.low, self.with_offset)
        high, low = np.float32(window[1] * histogram.width), np.float32(window[0] * histogram.width)
        return factors(min(high, seen.high), max(low, seen.low), self.with_offset)

    def _windows(self, counts: Int64Array, levels: int) -> Sequence[int]:
        """Return the windows to compare: the place of a faster choice."""
        return windows(counts, levels)


def windows(counts: Int64Array, levels: int) -> Sequence[int]:
    """Return all windows, each by its ``i``; none where there are fewer bins than levels."""
    return range(levels // 2, len(counts) // 2 + 1)


def best_window(
    counts: Int64Array, levels: int, among: Optional[Sequence[int]] = None
) -> Optional[Tuple[int, int]]:
    """Return the first and the end bin of the best window, counted from 0's edge.

    Args:
        counts: int64 ``[2 m]``; bin ``m`` begins at 0.
        levels: values of the grid within the window.
        among: the windows to compare, in order; None: all of them.

    Returns:
        None where no window has as many bins as levels, or none has a value.
    """
    half, below = len(counts) // 2, np.cumsum(np.pad(counts, (1, 0)))
    found = [
        (divergence(counts, below, half - i, min(half + i + 1, 2 * half), levels), i)
        for i in (windows(counts, levels) if among is None else among)
    ]
    if not found or not np.isfinite(min(found)[0]):
        return None
    _, i = min(found)
    return -i, min(i + 1, half)


def divergence(counts: Int64Array, below: Int64Array, start: int, end: int, levels: int) -> float:
    """Return the divergence of the window ``start .. end``; infinity where it holds no value.

    Args:
        counts: int64 ``[n]``.
        below: int64 ``[n + 1]``, the sums of all counts before each edge.
        start, end: the first bin of the window and the one after its last.
        levels: groups of bins, at most ``end - start``.
    """
    if below[end] == below[start]:
        return float(np.inf)
    p = counts[start:end].astype(np.float64)
    p[0] += below[start]
    p[-1] += below[-1] - below[end]
    filled = p != 0
    width = len(p) // levels
    groups = below[start : start + width * levels + 1 : width].copy()
    groups[-1] = below[end]
    bins = filled[: width * levels].reshape(levels, width).sum(axis=1)
    shares = np.where(bins > 0, np.diff(groups) // np.maximum(bins, 1), 0)
    q = np.zeros_like(p)
    q[: width * levels] = np.repeat(shares, width)
    if not q.any():
        return float(np.inf)
    p, q = _smoothed(p), _smoothed(q)
    p /= p.sum()
    q /= q.sum()
    return float((p * np.log(p / q)).sum())


def _smoothed(counts: Float64Array) -> Float64Array:
    """Return counts of which none is 0."""
    zero = counts == 0
    zeros = int(np.count_nonzero(zero))
    return np.where(zero, _SMOOTHING, counts - _SMOOTHING * zeros / (counts.size - zeros))


def _narrowed(histogram: Histogram) -> Histogram:
    """Return the histogram with at most HALF_BINS bins on either side of 0."""
    limit = 2 * HALF_BINS
    while max(histogram.end, -histogram.first) > HALF_BINS:
        histogram = histogram.coarsened(limit)
        limit //= 2
    return histogram


def _around_zero(histogram: Histogram) -> NDArray[np.int64]:
    """Return the counts of as many bins below 0 as above, without the values that are 0."""
    half = max(histogram.end, -histogram.first)
    counts = np.zeros(2 * half, np.int64)
    counts[half + histogram.first : half + histogram.end] = histogram.counts
    counts[half] -= histogram.zeros
    return counts
