"""Sums over samples that arrive batch by batch; from them follow the numbers of the report."""

from __future__ import annotations

import math
from typing import Any, Iterator, Optional, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.kernels import histogram as kernels
from amct_core.numerics.histogram import Histogram as FineHistogram
from cpu_sim_backend.analysis.bounds import Bounds, best_bounds, expected_error
from cpu_sim_backend.analysis.model import ActivationReport, Histogram, Similarity

Array = NDArray[Any]
_CHUNK = 1 << 14
"""Numbers at a time: few enough for the cache, and for sums in float32."""
_BINS = 128
"""At most so many are reported."""
_TYPICAL = 0.999
_INT16 = np.iinfo(np.int16)


def decibels(signal: float, noise: float) -> float:
    """Return ``10 log10(signal / noise)``; infinity without noise, NaN with noise alone."""
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else math.nan


def _chunks(*arrays: Array) -> Iterator[Tuple[Array, ...]]:
    flat = [np.ascontiguousarray(array).reshape(-1) for array in arrays]
    for start in range(0, flat[0].size, _CHUNK):
        yield tuple(each[start : start + _CHUNK] for each in flat)


@attrs.define
class SimilarityTally:
    """How close some values come to others of the same shape.

    Attributes:
        signal, other: sums of the squares of either.
        noise: that of the differences.
        product: sum of the products.
    """

    signal: float = 0.0
    other: float = 0.0
    noise: float = 0.0
    product: float = 0.0

    def add(self, x: Array, y: Array) -> None:
        """Take in the values ``y`` that stand for ``x``, both float32 of any shape."""
        for part, other in _chunks(x, y):
            if not self._add(part, other):
                # Squares that float32 does not hold.
                self._add(part.astype(np.float64), other.astype(np.float64))

    def _add(self, x: Array, y: Array) -> bool:
        with np.errstate(over="ignore", invalid="ignore"):
            difference = x - y
            sums = [
                float(np.dot(left, right))
                for left, right in ((x, x), (y, y), (difference, difference), (x, y))
            ]
        if x.dtype == np.float32 and not all(map(math.isfinite, sums)):
            return False
        self.signal += sums[0]
        self.other += sums[1]
        self.noise += sums[2]
        self.product += sums[3]
        return True

    def similarity(self) -> Similarity:
        """Return what the sums say."""
        snr = decibels(self.signal, self.noise)
        if self.noise == 0:
            return Similarity(snr, 1.0)
        size = math.sqrt(self.signal) * math.sqrt(self.other)
        cosine = self.product / size if size > 0 else 0.0
        return Similarity(snr, min(max(cosine, -1.0), 1.0))


@attrs.define
class ActivationTally:
    """The float input of quantized layers that read one Quant.

    Attributes:
        scale, offset: of the Quant.
        values: how many were seen.
    """

    scale: float
    offset: int
    values: int = 0
    lowest: float = math.inf
    highest: float = -math.inf
    clipped: int = 0
    signal: float = 0.0
    clipping: float = 0.0
    noise: float = 0.0
    histogram: FineHistogram = attrs.field(factory=FineHistogram)
    used: NDArray[np.bool_] = attrs.field(factory=lambda: np.zeros(256, np.bool_))

    @property
    def clip_min(self) -> float:
        """The smallest value that int8 can represent."""
        return (-128 - self.offset) * self.scale

    @property
    def clip_max(self) -> float:
        """The largest value that int8 can represent."""
        return (127 - self.offset) * self.scale

    def add(self, x: Array, q: NDArray[np.int8]) -> None:
        """Take in float values and what the Quant makes of them.

        Raises:
            QuantizationError: a value is NaN or infinite.
        """
        self.histogram = kernels.observed(self.histogram, x)
        self.values += x.size
        self.lowest = min(self.lowest, float(x.min(initial=math.inf)))
        self.highest = max(self.highest, float(x.max(initial=-math.inf)))
        for part, integers in _chunks(x, q):
            self._add(part, integers)

    def _add(self, x: Array, q: NDArray[np.int8]) -> None:
        self.used |= np.bincount(q.view(np.uint8), minlength=256) > 0
        steps = q.astype(np.float32)
        steps -= np.float32(self.offset)
        steps *= np.float32(self.scale)
        error = x - steps
        self.noise += _square_sum(error)
        self.signal += _square_sum(x)
        outside = x[(x > self.clip_max) | (x < self.clip_min)]
        if outside.size:
            self.clipped += outside.size
            self.clipping += _square_sum(outside - outside.clip(self.clip_min, self.clip_max))

    def report(self, blob: str) -> ActivationReport:
        """Return what is reported of blob ``blob``."""
        best = best_bounds(self.histogram)
        coarse = self.histogram.coarsened(_BINS)
        edges = coarse.edges()
        rounding = max(self.noise - self.clipping, 0.0)
        return ActivationReport(
            blob=blob,
            scale=self.scale,
            offset=self.offset,
            clip_min=self.clip_min,
            clip_max=self.clip_max,
            lowest=self.lowest,
            highest=self.highest,
            clipped=self.clipped / max(self.values, 1),
            used=int(np.count_nonzero(self.used)),
            histogram=Histogram(
                float(edges[0]), float(edges[-1]), tuple(int(n) for n in coarse.counts)
            ),
            clipping_snr=decibels(self.signal, self.clipping),
            rounding_snr=decibels(self.signal, rounding),
            typical=_typical_magnitude(self.histogram) / self.scale,
            best_min=best.low,
            best_max=best.high,
            gain=self._gain(best),
        )

    def _gain(self, best: Bounds) -> float:
        own = expected_error(self.histogram, Bounds(self.clip_min, self.clip_max))
        least = expected_error(self.histogram, best)
        return 0.0 if own <= least else decibels(own, least)


def _square_sum(x: Array) -> float:
    with np.errstate(over="ignore"):
        found = float(np.dot(x, x))
    if math.isfinite(found):
        return found
    wide = x.astype(np.float64)
    return float(np.dot(wide, wide))


def _typical_magnitude(histogram: FineHistogram) -> float:
    """Return the magnitude below which 99.9 % of the values lie that are not 0; 0 without any."""
    edges = np.abs(histogram.edges())
    largest = np.maximum(edges[:-1], edges[1:])
    counts = histogram.counts.copy()
    counts[-histogram.first] -= histogram.zeros
    order = np.argsort(largest, kind="stable")
    total = counts[order].cumsum()
    if not total.size or total[-1] <= 0:
        return 0.0
    place = int(np.searchsorted(total, _TYPICAL * total[-1]))
    return float(largest[order[min(place, len(order) - 1)]])


@attrs.define
class AccumulatorTally:
    """The accumulators of a quantized layer.

    Attributes:
        shift_n: N by channel, or one for all.
        largest: the largest magnitude.
        values: how many were seen.
        saturated: how many the shift by N clamps to int16.
    """

    shift_n: NDArray[np.uint8]
    largest: int = 0
    values: int = 0
    saturated: int = 0

    def add(self, accumulators: Array) -> None:
        """Take in accumulators, channels on axis 1."""
        low, high = int(accumulators.min(initial=0)), int(accumulators.max(initial=0))
        self.largest = max(self.largest, abs(low), abs(high))
        self.values += accumulators.size
        if self.shift_n.any():
            shape = (1, -1) + (1,) * (accumulators.ndim - 2)
            shifted = accumulators >> self.shift_n.astype(np.int32).reshape(shape)
            outside = (shifted < _INT16.min) | (shifted > _INT16.max)
            self.saturated += int(np.count_nonzero(outside))


@attrs.define
class DecisionTally:
    """How often two networks choose the same.

    Attributes:
        same, samples: how many samples have the same largest score, and how many there are.
        one_row: whether the output was one row of scores for each sample so far.
    """

    same: int = 0
    samples: int = 0
    one_row: bool = True

    def add(self, x: Array, y: Array) -> None:
        """Take in an output of either network."""
        self.one_row &= x.ndim >= 2 and x.shape[1] > 1 and x[:1, :1].size == 1
        if self.one_row:
            rows, others = x.reshape(len(x), -1), y.reshape(len(y), -1)
            self.same += int(np.count_nonzero(rows.argmax(axis=1) == others.argmax(axis=1)))
            self.samples += len(x)

    def share(self) -> Optional[float]:
        """Return the share of samples; None where there are no rows of scores."""
        return self.same / self.samples if self.one_row and self.samples else None
