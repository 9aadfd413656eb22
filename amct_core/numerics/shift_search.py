"""The search for shift factor N, which brings an int32 accumulator into int16 range.

Per channel, over the accumulators ``s`` that its float outputs ``y`` stand for::

    s      = clamp(round(y / deq_scale), int32)          float32 division, halves away from zero
    t      = clamp(s / 2**N, -32768, 32767)              rounded as below
    error  = sum((t * 2**N - s)**2)                      float64, for N = 1..16

and the N with the smallest error wins, the smaller one on a tie; a channel of zeros gives 1.  Once
searched, N is never 0: 0 means "not searched".

``search_n``     the quotient is truncated toward zero (C integer division)
``search_n_v2``  the quotient is floored, as the device's arithmetic shift does

An InnerProduct has one ``deq_scale`` and its whole output is one group.  A *global* convolution
(1 x 1 output) has one value per channel and image, too few to choose by, so all its channels share
one N (``broadcast``): one error is summed over all channels, each divided by its own ``deq_scale``.

Differences from the reference library:

* The conversion of ``s`` to int32 is undefined in C++ where it overflows.  An accumulator cannot
  hold such a value; it is clamped.
* search_n_v2 sums in float32 there, and both store whole batches in AMCT's layer.  Here errors are
  float64 and only sums are kept, so a search over many batches takes no more memory than over one.
* For a global convolution, AMCT's search_n replaces ``deq_scale`` by its maximum over the channels
  and rewrites scale_w in the record.  Here each channel keeps its own, as in search_n_v2.

Source: hicann/amct quantize_lib/search_n.cpp, search_n_v2.cpp; SearchN layer of AMCT's Caffe patch.
"""

from __future__ import annotations

from typing import ClassVar

import attrs
import numpy as np
from numpy.typing import ArrayLike

from amct_core.errors import QuantizationError
from amct_core.numerics.arrays import (
    CHUNK,
    Array,
    Float32Array,
    Float64Array,
    Int64Array,
    UInt8Array,
    along_channels,
    channel_rows,
)
from amct_core.numerics.reduction import Reduction
from amct_core.numerics.rounding import half_away

MIN_SHIFT = 1
MAX_SHIFT = 16

_INT16 = np.iinfo(np.int16)
_INT32 = np.iinfo(np.int32)


@attrs.define(eq=False)
class ShiftErrors:
    """Squared errors by group and N, added up over batches.

    Attributes:
        groups: how many values of N are searched for.
        division: rounds the float64 quotients ``s / 2**N`` (exact before rounding).
        sums: float64 ``[groups, 16]``, column ``i`` for ``N = i + 1``.
    """

    groups: int
    division: np.ufunc
    sums: Float64Array = attrs.field(init=False)

    @sums.default
    def _no_errors(self) -> Float64Array:
        return np.zeros((self.groups, MAX_SHIFT))

    def add(self, s32: Array) -> None:
        """Take in integer values within int32, ``[groups, n]``."""
        length = max(1, CHUNK // self.groups)
        for start in range(0, s32.shape[1], length):
            values = np.asarray(s32[:, start : start + length], np.float64)
            for shift in range(MIN_SHIFT, MAX_SHIFT + 1):
                error = self.division(values * 0.5**shift)
                np.clip(error, _INT16.min, _INT16.max, out=error)
                error *= 2.0**shift
                error -= values
                self.sums[:, shift - MIN_SHIFT] += np.square(error, out=error).sum(axis=1)

    def best(self) -> UInt8Array:
        """Return N per group: the first minimum."""
        best: Int64Array = np.argmin(self.sums, axis=1) + MIN_SHIFT
        return best.astype(np.uint8)


class ShiftSearchOverBatches:
    """A search over any number of batches; subclasses say how the quotient is rounded."""

    division: ClassVar[np.ufunc]

    def __init__(self, deq_scale: ArrayLike, broadcast: bool = False) -> None:
        self._deq_scale: Float32Array = np.atleast_1d(np.asarray(deq_scale, np.float32))
        if not (np.isfinite(self._deq_scale).all() and (self._deq_scale > 0).all()):
            raise QuantizationError("deq_scale must be finite and above 0.")
        self._channels = self._deq_scale.size
        self._axis = None if self._channels == 1 else 1
        one_group = broadcast or self._axis is None
        self._errors = ShiftErrors(1 if one_group else self._channels, self.division)
        self._seen = False

    def observe(self, y: Float32Array) -> None:
        """Take in one batch of float32 outputs, (batch, C, ...).

        Raises:
            QuantizationError: an output is NaN or infinite, or their channels are not as many as
                the entries of ``deq_scale``.
        """
        outputs = np.asarray(y, np.float32)
        if outputs.size == 0:
            return
        if not (np.isfinite(outputs.max()) and np.isfinite(outputs.min())):
            raise QuantizationError(
                "a layer's output is NaN or infinite.",
                remedy="Check that the network was trained without diverging.",
            )
        if self._axis is not None and outputs.shape[self._axis] != self._channels:
            along_channels(self._deq_scale, outputs, self._axis)  # tells what does not fit
        self._add(outputs)
        self._seen = True

    def combine(self, reduction: Reduction) -> None:
        """Take in what the other processes have observed; each of them calls this once."""
        self._errors.sums = reduction.total(self._errors.sums)
        self._seen = bool(reduction.total(float(self._seen)) > 0)

    def result(self) -> UInt8Array:
        """Return N, uint8, one per entry of ``deq_scale``, each in 1..16.

        Raises:
            QuantizationError: nothing has been observed.
        """
        if not self._seen:
            raise QuantizationError("no output has been observed, so there is no N to choose.")
        best = self._errors.best()
        return np.broadcast_to(best, (self._channels,)).copy()

    def _add(self, outputs: Float32Array) -> None:
        images = max(1, 8 * CHUNK * len(outputs) // outputs.size)
        for start in range(0, len(outputs), images):  # in parts, to keep the float64 copies small
            s32 = self._accumulators(outputs[start : start + images])
            self._errors.add(channel_rows(s32, self._axis).reshape(self._errors.groups, -1))

    def _accumulators(self, outputs: Float32Array) -> Float64Array:
        with np.errstate(over="ignore"):  # clamped below
            quotient = outputs / along_channels(self._deq_scale, outputs, self._axis)
        return np.clip(half_away(quotient).astype(np.float64), _INT32.min, _INT32.max)


class TruncatingShiftSearch(ShiftSearchOverBatches):
    """search_n over any number of batches: ``observe`` each, then ``result``.

    Args:
        deq_scale: float32 ``[C]``, or one value for all outputs as one group.
        broadcast: all channels share one N.
    """

    division = np.trunc


class FlooringShiftSearch(ShiftSearchOverBatches):
    """search_n_v2 over any number of batches: ``observe`` each, then ``result``.

    Args:
        deq_scale: float32 ``[C]``, or one value for all outputs as one group.
        broadcast: all channels share one N.
    """

    division = np.floor
