"""percentile: the range that covers a share of the values.

Over the histogram of all values (:mod:`amct_core.numerics.histogram`), ``n`` of them:

* With an offset, ``cut = (1 - percentile) / 2`` is left out on either side.  ``high`` is the upper
  edge of the first bin at whose end at least ``(1 - cut) n`` values are counted from below,
  ``low`` the lower edge of the first bin at whose end at least ``cut n`` are.
* Without, ``high = -low`` is the upper edge of the first bin of the magnitudes at whose end at
  least ``percentile n`` are counted.  Bin ``i`` and bin ``-1 - i`` hold the same magnitudes.

Neither goes beyond the exact range of the data or beyond 0; scale and offset are
:func:`amct_core.numerics.clipping.factors` of them.

Source: onnxruntime, PercentileCalibrater; it takes the lower edge of the bin in all cases, so
bounds differ by up to one bin.  The default is that of NVIDIA's and OpenPPL's tools.
"""

from __future__ import annotations

import math
from typing import Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import QuantizationError
from amct_core.numerics.clipping import factors
from amct_core.numerics.histogram import Histogram, HistogramCalibration


def _check(instance: object, attribute: object, value: float) -> None:
    if not 0 < value <= 1:
        raise QuantizationError(f"the percentile is {value}; expected above 0, at most 1.")


@attrs.define(kw_only=True)
class Percentile(HistogramCalibration):
    """The calibration of one blob.

    Attributes:
        percentile: share of the values that the range covers, in (0, 1].
    """

    percentile: float = attrs.field(default=0.9999, validator=_check)

    def result(self) -> Tuple[np.float32, int]:
        """Return ``(scale, offset)``.

        Raises:
            QuantizationError: nothing was observed, or the scale is too large.
        """
        seen = self.histogram.seen
        seen.check()
        high, low = bounds(self.histogram, self.percentile, self.with_offset)
        high, low = np.clip([high, low], seen.low, seen.high)
        return factors(max(high, 0.0), min(low, 0.0), self.with_offset)


def bounds(histogram: Histogram, percentile: float, with_offset: bool) -> Tuple[float, float]:
    """Return ``(high, low)``, edges of bins."""
    width = histogram.width
    if with_offset:
        cut = (1 - percentile) / 2
        high = histogram.first + _bin(histogram.counts, 1 - cut) + 1
        return high * width, (histogram.first + _bin(histogram.counts, cut)) * width
    magnitudes = np.zeros(max(histogram.end, -histogram.first), np.int64)
    magnitudes[: histogram.end] += histogram.counts[-histogram.first :]
    magnitudes[: -histogram.first] += histogram.counts[: -histogram.first][::-1]
    high = _bin(magnitudes, percentile) + 1
    return high * width, -high * width


def _bin(counts: NDArray[np.int64], share: float) -> int:
    """Return the first bin at whose end at least this share of the values is counted."""
    total = np.cumsum(counts)
    rank = math.ceil(round(share * int(total[-1]), 6))  # 0.9995 * 50000 is a little too large
    return int(np.searchsorted(total, max(1, rank)))
