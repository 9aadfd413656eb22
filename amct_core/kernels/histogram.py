"""Histograms in one pass over a batch, on all cores, and the calibrators that keep them.

Gives what :mod:`amct_core.numerics.histogram` and :mod:`amct_core.numerics.hfmg` give, every bit:
bins are computed by the same operations, and sums of counts do not depend on their order.  Where
numba is missing, the definitions run.
"""

from __future__ import annotations

import math
from typing import Callable, List, Sequence

import attrs
import numpy as np

from amct_core.kernels.kl import likely_windows
from amct_core.kernels.loading import load
from amct_core.kernels.threads import share_out
from amct_core.numerics import hfmg, kl, mse, percentile
from amct_core.numerics.arrays import Float32Array, Int64Array
from amct_core.numerics.hfmg import Bins
from amct_core.numerics.histogram import Histogram, HistogramCalibration

_LEAST = 4
"""Pieces that are worth another thread."""

Count = Callable[[Float32Array, Int64Array], int]
"""``(values, counts) -> zeros``: adds the values to the counts."""


def prepare() -> None:
    """Compile, or load what has been compiled."""
    load("histogram")


def prepare_kl() -> None:
    """Do the same with what the calibrator kl takes beyond a histogram."""
    prepare()
    load("kl")


def observed(histogram: Histogram, batch: Float32Array) -> Histogram:
    """Return what :meth:`Histogram.observed` returns.

    Raises:
        QuantizationError: as there.
    """
    kernels = load("histogram")
    if kernels is None:
        return histogram.observed(batch)
    values = np.asarray(batch, np.float32)
    grown = histogram.covering(histogram.seen.observed(values))
    counts, zeros = grown.counts.copy(), grown.zeros
    per_width = math.ldexp(1.0, -grown.exponent)

    def count(part: Float32Array, own: Int64Array) -> int:
        return int(kernels.count_in_powers_of_two(part, own, per_width, grown.first))

    zeros += _count_all(values, counts, kernels.PIECE, count)
    return attrs.evolve(grown, counts=counts, zeros=zeros)


def with_counts_of(bins: Bins, batch: Float32Array) -> Bins:
    """Return what :meth:`Bins.with_counts_of` returns."""
    kernels = load("histogram")
    if kernels is None or not bins.has_width:
        return bins.with_counts_of(batch)
    counts, low, width = bins.counts.copy(), bins.low, bins.width

    def count(part: Float32Array, own: Int64Array) -> int:
        return int(kernels.count_in_range(part, own, low, width))

    _count_all(batch, counts, kernels.PIECE, count)
    return attrs.evolve(bins, counts=counts)


def _count_all(batch: Float32Array, counts: Int64Array, piece: int, count: Count) -> int:
    """Add the values of ``batch`` to ``counts``; return the sum of what ``count`` returned."""
    values = np.ascontiguousarray(batch).reshape(-1)
    parts: List[Int64Array] = []
    zeros: List[int] = []

    def work(begin: int, end: int) -> None:
        own = np.zeros_like(counts)
        zeros.append(count(values[begin * piece : end * piece], own))
        parts.append(own)

    share_out(-(-values.size // piece), work, least=_LEAST)
    for part in parts:
        counts += part
    return sum(zeros)


class _Compiled(HistogramCalibration):
    def observe(self, batch: Float32Array) -> None:
        """Take in one batch, float32 of any shape."""
        self.histogram = observed(self.histogram, batch)


class Percentile(_Compiled, percentile.Percentile):
    """:class:`amct_core.numerics.percentile.Percentile`, compiled."""


class Mse(_Compiled, mse.Mse):
    """:class:`amct_core.numerics.mse.Mse`, compiled."""


class Kl(_Compiled, kl.Kl):
    """:class:`amct_core.numerics.kl.Kl`, compiled."""

    def _windows(self, counts: Int64Array, levels: int) -> Sequence[int]:
        return likely_windows(counts, levels)


class Hfmg(hfmg.Hfmg):
    """:class:`amct_core.numerics.hfmg.Hfmg`, compiled."""

    def _counted(self, bins: Bins, values: Float32Array) -> Bins:
        return with_counts_of(bins, values)
