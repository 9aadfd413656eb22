"""What every calibrator needs: the range of the data, and the int8 grid between two bounds.

With an offset, scale and offset are :func:`amct_core.numerics.affine.scale_offset`'s.  Without,
the bound with the larger magnitude (the lower one on a tie) decides::

    scale = process_scale(high / 127)   or   process_scale(-low / 128)

all in float32.  0 always lies in the range: zero padding and ReLU need it exactly.

Source: hicann/amct quantize_lib (CalScaleOffset in hfmg.cpp, ifmr.cpp, ProcessScale in util.cpp).
"""

from __future__ import annotations

from typing import Tuple

import attrs
import numpy as np
from numpy.typing import ArrayLike

from amct_core.errors import QuantizationError
from amct_core.numerics.affine import (
    FLT_EPSILON,
    QUANT_MAX,
    QUANT_MIN,
    QUANT_STEPS,
    process_scale,
    scale_offset,
)
from amct_core.numerics.arrays import Float32Array, Real
from amct_core.numerics.reduction import Reduction
from amct_core.numerics.rounding import half_away

_ZERO = np.float32(0)


@attrs.frozen
class ValueRange:
    """The range of what was observed, 0 included.

    Attributes:
        low, high: smallest and largest float32 value; ``low <= 0 <= high``.
        count: the number of values.
    """

    low: np.float32 = _ZERO
    high: np.float32 = _ZERO
    count: int = 0

    def observed(self, batch: ArrayLike) -> ValueRange:
        """Return the range of these values and of ``batch``, float32 of any shape.

        Raises:
            QuantizationError: the batch holds NaN or infinity.
        """
        values = np.asarray(batch, np.float32)
        if not values.size:
            return self
        low, high = values.min(), values.max()
        if not (np.isfinite(low) and np.isfinite(high)):
            raise QuantizationError(
                f"the data to calibrate with holds NaN or infinity: "
                f"{values.size - np.count_nonzero(np.isfinite(values))} of {values.size} values.",
                remedy="Look for a diverging loss or a division by zero before this layer.",
            )
        return ValueRange(min(self.low, low), max(self.high, high), self.count + values.size)

    def combined(self, reduction: Reduction) -> ValueRange:
        """Return the range of the values of all processes."""
        ends = reduction.gathered(np.array([self.low, self.high], np.float32))
        return ValueRange(ends.min(), ends.max(), int(reduction.total(self.count)))

    def check(self) -> None:
        """Require data.

        Raises:
            QuantizationError: no value was observed.
        """
        if not self.count:
            raise QuantizationError("there are no values to calibrate with.")


def factors(high: Real, low: Real, with_offset: bool = True) -> Tuple[np.float32, int]:
    """Return scale and offset of the int8 grid between two bounds, ``low <= 0 <= high``.

    Returns:
        ``(scale, offset)``: float32 in FLT_EPSILON .. 1 / FLT_EPSILON, 1.0 for bounds nearer to
        each other than that; int in -128..127, 0 without an offset.

    Raises:
        QuantizationError: a bound is not finite or on the wrong side of 0, or the scale is too
            large.
    """
    if with_offset:
        return scale_offset(high, low)
    above, below = np.float32(high), np.float32(low)
    limit = QUANT_MAX if above > -below else -QUANT_MIN
    return process_scale(max(above, -below) / np.float32(limit)), 0


def many_factors(
    highs: Float32Array, lows: Float32Array, with_offset: bool
) -> Tuple[Float32Array, Float32Array]:
    """Return :func:`factors` of many pairs of bounds; NaN as the scale where it is too large.

    Args:
        highs, lows: float32 ``[n]``, ``low <= 0 <= high``.

    Returns:
        scales and offsets, float32 ``[n]``; the offsets are integers.
    """
    with np.errstate(over="ignore"):
        if with_offset:
            scales = (highs - lows) / np.float32(QUANT_STEPS)
        else:
            limit = np.where(highs > -lows, np.float32(QUANT_MAX), np.float32(-QUANT_MIN))
            scales = np.maximum(highs, -lows) / limit
    scales = np.where(scales < FLT_EPSILON, np.float32(1), scales)
    scales[np.float32(1) / scales < FLT_EPSILON] = np.nan
    if not with_offset:
        return scales, np.zeros_like(scales)
    return scales, np.float32(QUANT_MIN) - half_away(lows / scales)
