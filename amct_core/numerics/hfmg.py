"""HFMG: the range of an activation from a histogram with a fixed number of bins, as AMCT has it.

All in float32 (``w`` is the width of a bin, ``N`` their number) except for the losses:

1. The first batch's range ``[min, max]`` is cut into N bins, ``w = (max - min) / N``; a value
   counts to bin ``floor((x - min) / w)``, at most N - 1.
2. Where a later batch reaches further, the new range is cut into N bins.  A bin of before that lies
   within one new bin gives it its count ``c``; one across two gives the lower
   ``floor(c * (upper edge of the lower new bin - lower edge) / (upper edge - lower edge))`` and the
   upper the rest.  The new batch is counted in the new bins.
3. Windows of bins ``left..right``, from all bins on: from each side walk inwards until
   ``step = max(1, ceil(total / 100000))`` values are passed; the side that passed more bins (the
   right one on a tie) moves there.  Each window after such a move is a candidate, until at most
   ``ceil(N / 4) + 1`` bins are left.
4. Its loss: the window is cut into 256 cells.  The values of each bin, spread evenly over it, are
   measured against the centre of their cell; those outside the window against the centre of the
   first or the last cell.  For a piece from ``b`` to ``e``, seen from the centre, that is
   ``count / w * (e**3 - b**3) / 3``.
5. The first window with the least loss gives ``low = min + left * w`` and
   ``high = min + (right + 1) * w``.  Then low is at most 0 and high at least 0, and scale and
   offset are :func:`amct_core.numerics.clipping.factors` of them.

Differences from the reference library, all of them defects there:

* In step 4 it subtracts ``left`` from the bin's index without a sign, so bins left of the window
  cost nothing (in float32) and clipping on the left looks free.  AMCT's Python version has a sign.
* It adds the losses in float32; here they are float64, which also settles losses that were equal
  only in float32.
* Bins narrower than FLT_EPSILON put all values into the middle bin; here only those of no width, or
  too narrow for float32, do, and then the range is that of the data.
* A range that grows by less than FLT_EPSILON is taken as the same one, whatever its size; here
  only an equal one is.
* Counts are 32 bits wide; here 64.
* NaN and infinity are not looked for.

Step 2 depends on the order of batches.  Several processes' histograms are merged in the order of
ranks, the bins of each like those of before.

Source: hicann/amct quantize_lib, hfmg.cpp (HfmgMerge, HfmgCompute); the signed loss is that of the
Python version, hfmg_calculate_loss.
"""

from __future__ import annotations

import math
from typing import Any, List, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import QuantizationError
from amct_core.numerics.arrays import Float32Array, Float64Array, Int64Array, flat_chunks
from amct_core.numerics.clipping import ValueRange, factors
from amct_core.numerics.reduction import Reduction

NUMBERS_OF_BINS = (1024, 2048, 4096, 8192)
_CELLS = 256
_MOST_STEPS = 100_000
_LEAST_SHARE = 4
_AT_A_TIME = 512


def _check_number(instance: object, attribute: object, value: int) -> None:
    if value not in NUMBERS_OF_BINS:
        raise QuantizationError(
            f"num_of_bins is {value}; expected one of {', '.join(map(str, NUMBERS_OF_BINS))}.",
            field="num_of_bins",
        )


@attrs.frozen
class Bins:
    """A histogram of equal bins over the range of the data.

    Attributes:
        low, high: float32, the ends of the range.
        counts: int64 ``[N]``.
    """

    low: np.float32
    high: np.float32
    counts: Int64Array

    @property
    def width(self) -> np.float32:
        """The width of a bin, float32."""
        with np.errstate(over="ignore"):  # has_width is False then, and the scale is refused
            return np.float32((self.high - self.low) / np.float32(len(self.counts)))

    @property
    def has_width(self) -> bool:
        """Whether float32 can tell the bins apart."""
        return bool(self.edges()[1] > self.low and self.edges()[-2] < self.high)

    def edges(self) -> Float32Array:
        """Return the edges, float32 ``[N + 1]``."""
        steps = np.arange(len(self.counts) + 1, dtype=np.float32)
        with np.errstate(invalid="ignore"):
            edges: Float32Array = self.low + steps * self.width
        return edges

    def places(self, values: Float32Array) -> Int64Array:
        """Return the bin of each value; the middle one where bins have no width."""
        count = len(self.counts)
        if not self.has_width:
            return np.full(values.shape, count // 2)
        places = np.floor((values - self.low) / self.width)
        found: Int64Array = np.clip(places, 0, count - 1).astype(np.int64)
        return found

    def with_counts_of(self, values: Float32Array) -> Bins:
        """Return the bins with ``values``, within the range, added."""
        counts = self.counts.copy()
        for (chunk,) in flat_chunks(np.ascontiguousarray(values)):
            counts += np.bincount(self.places(chunk), minlength=len(counts))
        return attrs.evolve(self, counts=counts)

    def spread_over(self, low: np.float32, high: np.float32) -> Bins:
        """Return the same values in as many bins of a range that holds this one."""
        if (low, high) == (self.low, self.high):
            return self
        empty = Bins(low, high, np.zeros_like(self.counts))
        edges, new_edges = self.edges(), empty.edges()
        lower, upper = empty.places(edges[:-1]), empty.places(edges[1:])
        with np.errstate(invalid="ignore", divide="ignore"):
            share = (new_edges[lower + 1] - edges[:-1]) / (edges[1:] - edges[:-1])
        share = np.where(lower == upper, np.float32(1), np.clip(share, 0, 1))
        below = np.floor(share * self.counts).astype(np.int64)
        counts = empty.counts
        np.add.at(counts, lower, below)
        np.add.at(counts, upper, self.counts - below)
        return empty


@attrs.define(kw_only=True)
class Hfmg:
    """The calibration of one blob.

    Attributes:
        with_offset: asymmetric grid; False pins the offset at 0.
        num_of_bins: one of :data:`NUMBERS_OF_BINS`.
    """

    with_offset: bool = True
    num_of_bins: int = attrs.field(default=4096, validator=_check_number)
    _bins: List[Bins] = attrs.field(factory=list, init=False)

    def observe(self, batch: Float32Array) -> None:
        """Take in one batch, float32 of any shape.

        Raises:
            QuantizationError: it holds NaN or infinity.
        """
        values = np.asarray(batch, np.float32)
        ValueRange().observed(values)
        if values.size:
            low, high = values.min(), values.max()
            self._bins = [self._counted(self._covering(low, high), values)]

    def combined(self, reduction: Reduction) -> Hfmg:
        """Return the calibration that has observed every process's batches."""
        result = attrs.evolve(self)
        for bins in self._of_all(reduction):
            merged = result._covering(bins.low, bins.high)
            counts = merged.counts + bins.spread_over(merged.low, merged.high).counts
            result._bins = [attrs.evolve(merged, counts=counts)]
        return result

    def result(self) -> Tuple[np.float32, int]:
        """Return ``(scale, offset)``.

        Raises:
            QuantizationError: nothing was observed, or the scale is too large.
        """
        if not self._bins:
            raise QuantizationError("there are no values to calibrate with.")
        (bins,) = self._bins
        low, high = bins.low, bins.high
        if bins.has_width:
            left, right = best_window(bins.counts)
            low, high = bins.edges()[[left, right + 1]]
        return factors(max(high, np.float32(0)), min(low, np.float32(0)), self.with_offset)

    def _counted(self, bins: Bins, values: Float32Array) -> Bins:
        """Return ``bins`` with ``values`` added: the place of a faster count."""
        return bins.with_counts_of(values)

    def _covering(self, low: np.float32, high: np.float32) -> Bins:
        """Return the bins so far, over a range that holds this one, too."""
        if not self._bins:
            return Bins(low, high, np.zeros(self.num_of_bins, np.int64))
        (bins,) = self._bins
        return bins.spread_over(min(low, bins.low), max(high, bins.high))

    def _of_all(self, reduction: Reduction) -> List[Bins]:
        """Return the bins of each process that has some."""
        own = [np.concatenate([[bins.low, bins.high], _pieces(bins.counts)]) for bins in self._bins]
        sent = np.concatenate([*own, []]).astype(np.float32)
        rows = reduction.gathered(sent).reshape(-1, 2 + 4 * self.num_of_bins)
        return [Bins(row[0], row[1], _whole(row[2:])) for row in rows]


def windows(counts: Int64Array) -> Int64Array:
    """Return the candidates ``(left, right)``, both bins included, int64 ``[n, 2]``."""
    left, right = 0, len(counts) - 1
    below = np.cumsum(np.pad(counts, (1, 0)))
    step = max(1, math.ceil(int(below[-1]) / _MOST_STEPS))
    found = []
    while right - left > math.ceil(len(counts) / _LEAST_SHARE):
        # The first edge at which a step's values are passed; the sides do not cross.
        inner_left = min(int(np.searchsorted(below, below[left] + step)), right)
        inner_right = int(np.searchsorted(below, below[right + 1] - step, "right")) - 2
        inner_right = max(inner_right, inner_left)
        if right - inner_right >= inner_left - left:
            right = inner_right
        else:
            left = inner_left
        found.append((left, right))
    return np.array(found)


def best_window(counts: Int64Array) -> Tuple[int, int]:
    """Return the candidate with the least loss."""
    found = windows(counts)
    pieces = [found[start : start + _AT_A_TIME] for start in range(0, len(found), _AT_A_TIME)]
    losses = np.concatenate([loss(counts, piece) for piece in pieces])
    left, right = found[int(np.argmin(losses))]
    return int(left), int(right)


def loss(counts: Int64Array, candidates: Int64Array) -> Float64Array:
    """Return the loss of each window, in units of a bin's width, squared.

    A cell's share is an integral over the density that the bins stand for, so it is a difference of
    integrals up to its ends; these are sums over whole bins and a part of one.

    Args:
        counts: int64 ``[N]``.
        candidates: int64 ``[n, 2]``, the first and the last bin of each window.
    """
    starts = np.arange(len(counts), dtype=np.float64)
    below = _sums_below(counts)
    first_moment = _sums_below(counts * (starts + 0.5))
    second_moment = (counts * ((starts + 1) ** 3 - starts**3)).sum() / 3
    left, right = candidates[:, 0, None], candidates[:, 1, None]
    cell = (right - left + 1) / _CELLS
    ends = left + np.arange(1, _CELLS) * cell
    bins = np.minimum(ends.astype(np.int64), len(counts) - 1)
    part = ends - bins
    in_part = counts[bins] * part
    count = _differences(below[bins] + in_part, float(below[-1]))
    total = _differences(first_moment[bins] + in_part * (bins + part / 2), float(first_moment[-1]))
    centres = left + (np.arange(_CELLS) + 0.5) * cell
    result: Float64Array = (centres * (centres * count - 2 * total)).sum(axis=1)
    result += second_moment
    return result


def _sums_below(values: NDArray[Any]) -> Float64Array:
    """Return the sum of all values before each edge, float64 ``[N + 1]``."""
    return np.cumsum(np.pad(values.astype(np.float64), (1, 0)))


def _differences(inner: Float64Array, last: float) -> Float64Array:
    """Return what lies between 0, the inner ends of the cells, and the last one."""
    filled = np.pad(inner, ((0, 0), (1, 1)))
    filled[:, -1] = last
    return np.diff(filled, axis=1)


def _pieces(counts: Int64Array) -> Float64Array:
    """Return counts in pieces of 16 bits, which float32 holds exactly."""
    pieces = (counts[:, None] >> np.array([0, 16, 32, 48])) & 0xFFFF
    flat: Float64Array = pieces.reshape(-1).astype(np.float64)
    return flat


def _whole(pieces: Float32Array) -> Int64Array:
    """Return the counts of :func:`_pieces`."""
    parts = pieces.astype(np.int64).reshape(-1, 4)
    result: Int64Array = (parts << np.array([0, 16, 32, 48])).sum(axis=1)
    return result
