"""int32 bias of a deployed layer.

``q = rint(bias / deq_scale)``: float64 division of the float32 values, halves to even.  It is the
plain bias; the compiler (ATC) itself adds what offset_d contributes, ``-offset_d * sum(w)``.

Source: hicann/amct insert_bias_quant_pass.py (``np.round``, and an error outside int32).
"""

from __future__ import annotations

from typing import Optional

import attrs
import numpy as np

from amct_core.errors import QuantizationError
from amct_core.numerics.affine import FLT_EPSILON
from amct_core.numerics.arrays import Float32Array, Float64Array, Int32Array, channel_list


class BiasOutOfRange(QuantizationError):
    """A bias has more steps of deq_scale than int32 counts."""


def quantize(
    bias: Float32Array, deq_scale: Float32Array, *, layer: Optional[str] = None
) -> Int32Array:
    """Return ``rint(bias / deq_scale)`` as int32.

    Args:
        bias: float32 ``[C]``.
        deq_scale: float32 ``[C]`` or ``[1]``, finite and above 0.
        layer: name for messages.

    Raises:
        BiasOutOfRange: a value does not fit int32 or is NaN; the message names the channels.
    """
    # The quotient of two float32 values does not overflow float64.
    exact = np.asarray(bias, np.float64) / np.asarray(deq_scale, np.float64)
    steps: Float64Array = np.rint(exact)
    limits = np.iinfo(np.int32)
    faulty = ~((steps >= limits.min) & (steps <= limits.max))
    if faulty.any():
        raise BiasOutOfRange(
            f"the bias of {channel_list(faulty)} is {steps[faulty][0]:.9g} steps of deq_scale; "
            "expected a number within int32.",
            layer=layer,
            remedy="Leave the layer unquantized (retrain_enable: false; after training, "
            "quant_enable: false, or no entry in a record of your own): its input or weights are "
            "very small compared with its bias.",
        )
    return steps.astype(np.int32)


@attrs.frozen
class SmallestScale:
    """How small the scale of a layer's input may become before its bias leaves int32.

    Attributes:
        value: the smallest scale_d at which every channel's bias fits.
        channel: the one that decides.
    """

    value: float
    channel: int

    @property
    def is_out_of_reach(self) -> bool:
        """Whether no scale of an activation is as large; the largest is ``1 / FLT_EPSILON``."""
        return self.value > 1 / FLT_EPSILON


def smallest_scale(bias: Float32Array, scale_w: Float32Array) -> Optional[SmallestScale]:
    """Return the smallest scale_d at which :func:`quantize` finds no fault; None if any will do.

    ``|bias| / (scale_d * scale_w) <= 2**31 - 1`` in every channel.  The smallest scale_d that there
    is, is FLT_EPSILON.

    Args:
        bias: float32 ``[C]``, finite.
        scale_w: float32 ``[C]`` or ``[1]``, above 0.
    """
    steps = np.abs(np.asarray(bias, np.float64)) / np.asarray(scale_w, np.float64)
    channel = int(np.argmax(steps))
    value = float(steps[channel]) / np.iinfo(np.int32).max
    return SmallestScale(value, channel) if value > FLT_EPSILON else None
