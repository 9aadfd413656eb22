"""A histogram of a stream of values, in constant memory.

Bins are ``[i * w, (i + 1) * w)`` for integers ``i``; 0 is an edge.  The width ``w`` is a power of
two: the smallest, but at least 2**-149 (float32's smallest number), with which the range of all
values, 0 included, needs at most ``limit`` bins::

    i = floor(x / w),    floor(high / w) - floor(low / w) + 1 <= limit

When a value lies outside, the histogram grows, and where it would need more bins than that, ``w``
is doubled and bins ``2 i`` and ``2 i + 1`` become bin ``i``.  Dividing by a power of two and adding
counts are exact, so the result depends on the values alone: not on how they were cut into batches,
not on their order, and not on which process saw them.  Between half of ``limit`` and all of it is
in use, except where the width is at its least.

Source: own.  AMCT's histogram (:mod:`amct_core.numerics.hfmg`) spreads the counts of old bins over
new ones, which depends on the order.
"""

from __future__ import annotations

import math
from typing import Any, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.numerics.arrays import Float32Array, Int64Array, flat_chunks
from amct_core.numerics.clipping import ValueRange
from amct_core.numerics.reduction import Reduction

LIMIT = 8192
"""Most bins: 32 or more for each of the 256 values of int8."""
_SMALLEST_EXPONENT = -149
_LARGEST_SHIFT = 62


@attrs.frozen
class Histogram:
    """Counts of values by bin.

    Attributes:
        limit: most bins, at least 2.
        exponent: ``w`` is ``2**exponent``.
        first: index of the first bin, at most 0.
        counts: int64 ``[bins]``, from bin ``first`` on; read-only by convention.
        zeros: how many values are exactly 0; they are in the counts, too.
        seen: the exact range of the values.
    """

    limit: int = LIMIT
    exponent: int = _SMALLEST_EXPONENT
    first: int = 0
    counts: Int64Array = attrs.field(factory=lambda: np.zeros(1, np.int64))
    zeros: int = 0
    seen: ValueRange = attrs.field(factory=ValueRange)

    @property
    def width(self) -> float:
        """The width of a bin."""
        return math.ldexp(1.0, self.exponent)

    @property
    def end(self) -> int:
        """The index after that of the last bin, at least 1."""
        return self.first + len(self.counts)

    def observed(self, batch: Float32Array) -> Histogram:
        """Return the histogram of these values and those of ``batch``, float32 of any shape.

        Raises:
            QuantizationError: the batch holds NaN or infinity.
        """
        values = np.asarray(batch, np.float32)
        grown = self.covering(self.seen.observed(values))
        counts, zeros = grown.counts.copy(), grown.zeros
        for (chunk,) in flat_chunks(np.ascontiguousarray(values)):
            # float64, or a small negative value would become bin 0 by underflow.
            indices = np.multiply(chunk, math.ldexp(1.0, -grown.exponent), dtype=np.float64)
            np.floor(indices, out=indices)
            indices -= grown.first
            counts += np.bincount(indices.astype(np.int64), minlength=len(counts))
            zeros += chunk.size - np.count_nonzero(chunk)
        return attrs.evolve(grown, counts=counts, zeros=zeros)

    def combined(self, reduction: Reduction) -> Histogram:
        """Return the histogram of the values of all processes."""
        grown = self.covering(self.seen.combined(reduction))
        counts = reduction.total(grown.counts).astype(np.int64)
        return attrs.evolve(grown, counts=counts, zeros=int(reduction.total(self.zeros)))

    def coarsened(self, limit: int) -> Histogram:
        """Return the histogram with at most ``limit`` bins, at least 2."""
        return attrs.evolve(self, limit=limit).covering(self.seen)

    def edges(self) -> NDArray[np.float64]:
        """Return the edges, float64 ``[bins + 1]``, exact in float32."""
        return np.arange(self.first, self.end + 1) * self.width

    def covering(self, seen: ValueRange) -> Histogram:
        """Return these counts in a histogram that has room for ``seen``, and says so."""
        exponent, first, end = _layout(seen, self.exponent, self.limit)
        shift = min(exponent - self.exponent, _LARGEST_SHIFT)
        counts = np.zeros(end - first, np.int64)
        indices = np.arange(self.first, self.end) >> shift
        np.add.at(counts, indices - first, self.counts)
        return attrs.evolve(self, exponent=exponent, first=first, counts=counts, seen=seen)


def _layout(seen: ValueRange, exponent: int, limit: int) -> Tuple[int, int, int]:
    """Return exponent, first bin and end for a range."""
    high, low = float(seen.high), float(seen.low)
    _, least = math.frexp(high - low)
    exponent = max(exponent, least - 1 - limit.bit_length()) if high > low else exponent

    def bin_of(value: float) -> int:
        return math.floor(math.ldexp(value, -exponent))

    while bin_of(high) - bin_of(low) + 1 > limit:
        exponent += 1
    return exponent, bin_of(low), bin_of(high) + 1


@attrs.define(kw_only=True)
class HistogramCalibration:
    """The calibration of one blob from its histogram; what remains to be said is how.

    Attributes:
        with_offset: asymmetric grid; False pins the offset at 0.
        histogram: of what was observed so far.
    """

    with_offset: bool = True
    histogram: Histogram = attrs.field(factory=Histogram)

    def observe(self, batch: Float32Array) -> None:
        """Take in one batch, float32 of any shape."""
        self.histogram = self.histogram.observed(batch)

    def combined(self, reduction: Reduction) -> Any:
        """Return the calibration that has observed every process's batches."""
        return attrs.evolve(self, histogram=self.histogram.combined(reduction))
