"""min_max: the range is that of the data.

``high`` is the largest value but at least 0, ``low`` the smallest but at most 0; scale and offset
are :func:`amct_core.numerics.clipping.factors` of them.  Nothing is clipped; one outlier makes all
other steps coarse.

Source: hicann/amct quantize_lib, ActArqCalibration in hfmg.cpp.  It takes a magnitude, so its
symmetric grid of data that reach further below 0 divides by 127; here it is 128, as in IFMR and
HFMG.
"""

from __future__ import annotations

from typing import Tuple

import attrs
import numpy as np

from amct_core.numerics.arrays import Float32Array
from amct_core.numerics.clipping import ValueRange, factors
from amct_core.numerics.reduction import Reduction


@attrs.define(kw_only=True)
class MinMax:
    """The calibration of one blob.

    Attributes:
        with_offset: asymmetric grid; False pins the offset at 0.
        seen: the range so far.
    """

    with_offset: bool = True
    seen: ValueRange = attrs.field(factory=ValueRange)

    def observe(self, batch: Float32Array) -> None:
        """Take in one batch, float32 of any shape."""
        self.seen = self.seen.observed(batch)

    def combined(self, reduction: Reduction) -> MinMax:
        """Return the calibration that has observed every process's batches."""
        return attrs.evolve(self, seen=self.seen.combined(reduction))

    def result(self) -> Tuple[np.float32, int]:
        """Return ``(scale, offset)``.

        Raises:
            QuantizationError: nothing was observed, or the scale is too large.
        """
        self.seen.check()
        return factors(self.seen.high, self.seen.low, self.with_offset)
