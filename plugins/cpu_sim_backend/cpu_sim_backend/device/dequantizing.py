"""DeQuant as a processor computes it, where that is not float32."""

from __future__ import annotations

from typing import Optional

import numpy as np
from numpy.typing import NDArray

from amct_core.errors import ModelError
from amct_core.extensions.processor_family import FLOAT16_SCALE, FLOAT32, INTEGERS
from amct_core.graph.attributes import DeQuant
from amct_core.numerics import ascend_v100, ascend_v200, dequant, float16

Float32Array = NDArray[np.float32]


def dequantized(
    a: DeQuant,
    accumulators: NDArray[np.int32],
    deq_scale: Float32Array,
    shift_n: NDArray[np.uint8],
    factors: Optional[Float32Array] = None,
) -> Float32Array:
    """Return what a DeQuant gives that a rewriting has changed.

    Args:
        a: how it computes.
        accumulators: with the bias, (batch, C, ...).
        deq_scale: float32 ``[C]`` or ``[1]``.
        shift_n: like ``deq_scale``.
        factors: float32, multiplies the result of an AVE Pooling, whose windows may be cut off at
            the border; in float16 if the result is.

    Raises:
        ModelError: factors other than 1 with a DeQuant that is requantized.
        QuantizationError: N is 0 for some channels only, or a product of scales is not finite.
    """
    dequant.check_shift_n(shift_n)
    scale = np.float32(a.quant_scale)
    if a.gives == INTEGERS:
        if factors is not None and (factors != 1).any():
            raise ModelError(
                "a processor that requantizes has no factor for windows that the border cuts off."
            )
        q = ascend_v200.requantize(accumulators, deq_scale, scale, a.offset, shift_n)
        return q.astype(np.float32) - np.float32(a.offset)
    if a.gives == FLOAT32:
        y = dequant.dequantize(accumulators, deq_scale * scale, shift_n)
        return y if factors is None else y * factors
    if a.gives == FLOAT16_SCALE:
        y = ascend_v100.dequantize(accumulators, ascend_v100.scale(deq_scale, scale))
    else:
        y = ascend_v200.dequantize(accumulators, deq_scale, shift_n, scale)
    return y if factors is None else float16.rounded(y * float16.rounded(factors))
