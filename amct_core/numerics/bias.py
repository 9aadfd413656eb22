"""int32 bias of a deployed layer.

``q = rint(bias / deq_scale)``: float64 division of the float32 values, halves to even.  It is the
plain bias; the compiler (ATC) itself adds what offset_d contributes, ``-offset_d * sum(w)``.

Source: hicann/amct insert_bias_quant_pass.py (``np.round``, and an error outside int32).
"""

from __future__ import annotations

from typing import Optional

import numpy as np

from amct_core.errors import QuantizationError
from amct_core.numerics.arrays import Float32Array, Float64Array, Int32Array, channel_list


def quantize(
    bias: Float32Array, deq_scale: Float32Array, *, layer: Optional[str] = None
) -> Int32Array:
    """Return ``rint(bias / deq_scale)`` as int32.

    Args:
        bias: float32 ``[C]``.
        deq_scale: float32 ``[C]`` or ``[1]``, finite and above 0.
        layer: name for messages.

    Raises:
        QuantizationError: a value does not fit int32 or is NaN; the message names the channels.
    """
    # The quotient of two float32 values does not overflow float64.
    exact = np.asarray(bias, np.float64) / np.asarray(deq_scale, np.float64)
    steps: Float64Array = np.rint(exact)
    limits = np.iinfo(np.int32)
    faulty = ~((steps >= limits.min) & (steps <= limits.max))
    if faulty.any():
        raise QuantizationError(
            f"the bias of {channel_list(faulty)} is {steps[faulty][0]:.9g} steps of deq_scale; "
            "expected a number within int32.",
            layer=layer,
            remedy="Leave the layer unquantized (retrain_enable: false): its input or weights are "
            "very small compared with its bias.",
        )
    return steps.astype(np.int32)
