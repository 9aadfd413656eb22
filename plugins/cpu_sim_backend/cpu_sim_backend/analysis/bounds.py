"""Which clip bounds suit the values of a histogram.

The error of clip bounds is that of what lies outside, which becomes the bound, and that of rounding
inside, ``step**2 / 12`` per value that is not 0::

    E = sum over bins of  n * (x - clip(x))**2  +  n_inside * ((high - low) / 255)**2 / 12

with ``x`` at the middle of a bin.  The best bounds are, of 64 pairs that are the seen range times a
factor, those with the least error.
"""

from __future__ import annotations

import attrs
import numpy as np

from amct_core.numerics.affine import QUANT_STEPS
from amct_core.numerics.histogram import Histogram

_NARROWEST = 1 / 256
_CANDIDATES = 64


@attrs.frozen
class Bounds:
    """Clip bounds, ``low <= 0 <= high``."""

    low: float
    high: float


def expected_error(histogram: Histogram, bounds: Bounds) -> float:
    """Return the expected sum of squared errors of ``bounds`` on the values of a histogram."""
    edges = histogram.edges()
    middles, counts = (edges[:-1] + edges[1:]) / 2, histogram.counts.astype(np.float64)
    counts[-histogram.first] -= histogram.zeros
    outside = middles - middles.clip(bounds.low, bounds.high)
    inside = counts[outside == 0].sum()
    step = (bounds.high - bounds.low) / QUANT_STEPS
    return float((counts * outside**2).sum() + inside * step**2 / 12)


def best_bounds(histogram: Histogram) -> Bounds:
    """Return the bounds with the least expected error; both 0 where every value is 0."""
    low, high = min(float(histogram.seen.low), 0.0), max(float(histogram.seen.high), 0.0)
    factors = np.geomspace(_NARROWEST, 1.0, _CANDIDATES)
    candidates = [Bounds(low * factor, high * factor) for factor in factors]
    return min(reversed(candidates), key=lambda each: expected_error(histogram, each))
