"""mse: the range with the least squared error of quantization.

The values of a bin count as its centre (:mod:`amct_core.numerics.histogram`, up to 8192 bins)::

    error(high, low) = sum_b counts[b] * (x[b] - Q(x[b]))**2
    Q(x) = (clamp(round(x / scale + offset), -128, 127) - offset) * scale

where scale and offset are :func:`amct_core.numerics.clipping.factors` of the bounds: the grid that
is scored is the grid that is used, the rounding of its offset included.  Candidates for ``high``
and ``low`` are the edges of the histogram with at most 2048 bins, cut at the range of the data.

* Data of one sign, or no offset: all candidates are tried.  Without an offset the bound on the side
  with the larger magnitude is searched, and the other one lies within it.
* Both signs and an offset: every pair of some 32 candidates each, then pairs near the best four at
  finer and finer steps, then from the best all candidates of one bound and all of the other in
  turn, until neither gets better.  So no change of one bound alone improves the result.

Of candidates with the same error the widest range wins.

A sum over the values that one step of the grid takes is a difference of sums over all bins below
its ends, so the cost of a candidate does not depend on the number of bins.

Source: the criterion is that of NVIDIA ModelOpt's and OpenPPL's calibrators, both of them on 2048
bins; the search is our own.
"""

from __future__ import annotations

from typing import List, Tuple

import attrs
import numpy as np

from amct_core.errors import QuantizationError
from amct_core.numerics.affine import QUANT_MAX, QUANT_MIN
from amct_core.numerics.arrays import Float32Array, Float64Array, Int64Array
from amct_core.numerics.clipping import ValueRange, factors, many_factors
from amct_core.numerics.histogram import Histogram, HistogramCalibration

_COARSE = 32
_REACH = 4
_STARTS = 4
_AT_A_TIME = 512
_MOST_ROUNDS = 32

_STEPS = np.arange(QUANT_MIN, QUANT_MAX + 1, dtype=np.float64)


@attrs.define(kw_only=True)
class Mse(HistogramCalibration):
    """The calibration of one blob.

    Attributes:
        candidate_bins: the candidates are the edges of the histogram with at most so many bins.
    """

    candidate_bins: int = 2048

    def result(self) -> Tuple[np.float32, int]:
        """Return ``(scale, offset)``.

        Raises:
            QuantizationError: nothing was observed, or no candidate has a scale that fits.
        """
        return factors(*self.bounds(), self.with_offset)

    def bounds(self) -> Tuple[np.float32, np.float32]:
        """Return ``(high, low)``, the best candidates."""
        seen = self.histogram.seen
        seen.check()
        highs, lows = candidates(self.histogram.coarsened(self.candidate_bins))
        search = _Search(Moments.of(self.histogram), highs, lows, self.with_offset)
        if not self.with_offset:
            best = search.along_magnitude(seen)
        elif len(highs) == 1 or len(lows) == 1:
            best = search.best(search.pairs(np.arange(len(highs)), np.arange(len(lows))))
        else:
            best = search.in_two_dimensions()
        high, low = best.places
        return highs[high], lows[low]


def candidates(histogram: Histogram) -> Tuple[Float32Array, Float32Array]:
    """Return the candidates for the upper and for the lower bound, the widest first.

    0 alone stands for a side without values; where there are some, 0 is no candidate.
    """
    seen, width = histogram.seen, histogram.width
    highs = np.minimum(np.arange(histogram.end, 0, -1) * width, seen.high).astype(np.float32)
    lows = np.maximum(np.arange(histogram.first, 0) * width, seen.low).astype(np.float32)
    return highs[:1] if seen.high == 0 else highs, lows if lows.size else np.zeros(1, np.float32)


@attrs.frozen
class Moments:
    """Sums over all bins below each edge, in units of the bins' width.

    Attributes:
        histogram: whose they are.
        sums: float64 ``[3, bins + 1]`` of counts times centre to the power of 0, 1 and 2.
    """

    histogram: Histogram
    sums: Float64Array

    @classmethod
    def of(cls, histogram: Histogram) -> Moments:
        """Return the sums over the bins of a histogram."""
        centres = np.arange(histogram.first, histogram.end) + 0.5
        terms = histogram.counts * np.stack([np.ones_like(centres), centres, centres * centres])
        return cls(histogram, np.cumsum(np.pad(terms, ((0, 0), (1, 0))), axis=1))

    def errors(self, scales: Float32Array, offsets: Float32Array) -> Float64Array:
        """Return the sum of squared errors of each grid, in squared units of the bins' width."""
        parts = [
            self._errors(
                scales[start : start + _AT_A_TIME, None], offsets[start : start + _AT_A_TIME, None]
            )
            for start in range(0, len(scales), _AT_A_TIME)
        ]
        return np.concatenate(parts)

    def _errors(self, scales: Float32Array, offsets: Float32Array) -> Float64Array:
        step = scales.astype(np.float64) / self.histogram.width
        grid = (_STEPS - offsets) * step
        bins = self.sums.shape[1] - 1
        # Bins whose centre lies below the middle between two steps; a tie costs the same.
        ends = np.ceil(grid[:, :-1] + 0.5 * step - 0.5) - self.histogram.first
        inner = np.clip(ends, 0, bins).astype(np.intp)
        cuts = np.pad(inner, ((0, 0), (1, 1)), constant_values=((0, 0), (0, bins)))
        count = np.diff(self.sums[0][cuts], axis=1)
        total = np.diff(self.sums[1][cuts], axis=1)
        errors: Float64Array = (grid * (grid * count - 2 * total)).sum(axis=1)
        errors += self.sums[2, -1]
        return errors


@attrs.frozen(order=True)
class _Found:
    """A pair of bounds by their places among the candidates, and its error."""

    error: float
    places: Tuple[int, int]


@attrs.frozen
class _Search:
    """The search for the best pair of bounds."""

    moments: Moments
    highs: Float32Array
    lows: Float32Array
    with_offset: bool

    def along_magnitude(self, seen: ValueRange) -> _Found:
        """Return the best where one bound decides; the other one is the least candidate."""
        highs, lows = np.arange(len(self.highs)), np.arange(len(self.lows))
        if seen.high > -seen.low:
            return self.best(self.pairs(highs, lows[-1:]))
        return self.best(self.pairs(highs[-1:], lows))

    def in_two_dimensions(self) -> _Found:
        """Return the best of a search that narrows down, then varies one bound at a time."""
        starts = self.ranked(self.pairs(_spread(len(self.highs)), _spread(len(self.lows))))
        best = min(self._narrowed_down(found) for found in starts[:_STARTS])
        for _ in range(_MOST_ROUNDS):
            before = best
            for axis, count in enumerate((len(self.highs), len(self.lows))):
                places = [np.array([place]) for place in best.places]
                places[axis] = np.arange(count)
                best = min(best, self.best(self.pairs(*places)))
            if best == before:
                break
        return best

    def _narrowed_down(self, best: _Found) -> _Found:
        step = max(len(self.highs), len(self.lows)) // _COARSE
        while step > 1:
            step = max(1, step // _REACH)
            high, low = best.places
            near = self.pairs(_near(high, step, len(self.highs)), _near(low, step, len(self.lows)))
            best = min(best, self.best(near))
        return best

    def pairs(self, highs: Int64Array, lows: Int64Array) -> Int64Array:
        """Return each of the first with each of the second, int64 ``[n, 2]``."""
        grid = np.meshgrid(highs, lows, indexing="ij")
        found: Int64Array = np.stack(grid, axis=-1).reshape(-1, 2)
        return found

    def best(self, pairs: Int64Array) -> _Found:
        """Return the first with the least error."""
        return self.ranked(pairs)[0]

    def ranked(self, pairs: Int64Array) -> List[_Found]:
        """Return the best few of these, the best first.

        Raises:
            QuantizationError: none has a scale that fits.
        """
        grids = many_factors(self.highs[pairs[:, 0]], self.lows[pairs[:, 1]], self.with_offset)
        usable = ~np.isnan(grids[0])
        if not usable.any():
            raise QuantizationError(
                f"values from {self.lows[0]} to {self.highs[0]} need a scale that is not "
                "supported.",
                remedy="Look for huge activations before this layer.",
            )
        errors = np.full(len(pairs), np.inf)
        errors[usable] = self.moments.errors(grids[0][usable], grids[1][usable])
        first = np.argsort(errors, kind="stable")[:_STARTS]
        return [_Found(float(errors[i]), (int(pairs[i, 0]), int(pairs[i, 1]))) for i in first]


def _spread(count: int) -> Int64Array:
    """Return some places among ``count``, the first and the last included."""
    return np.unique(np.linspace(0, count - 1, _COARSE).astype(np.int64))


def _near(place: int, step: int, count: int) -> Int64Array:
    """Return places around one, ``step`` apart."""
    around = place + step * np.arange(-_REACH, _REACH + 1)
    found: Int64Array = around[(around >= 0) & (around < count)]
    return found
