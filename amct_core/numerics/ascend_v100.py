"""DeQuant on processors of ISA v100 (Ascend 310, 910): a float16 deq_scale, and its square root.

The compiler multiplies deq_scale by the scale ``s`` of a Quant that is merged into the DeQuant (1
otherwise), in float32.  If any channel's product is below 2**-14, the smallest float16 of full
precision, all channels get their square roots instead, and the processor multiplies twice.  With
``h`` for rounding to float16 (:mod:`amct_core.numerics.float16`)::

    m = float32(deq_scale * s)            sqrt_mode: any m < 2**-14
    d = h(m)                              sqrt_mode: h(sqrt(m))
    y = h(acc * d)                        sqrt_mode: h(max(h(acc * d), 0 if ReLU) * d)

``acc * d`` is rounded once.  N plays no part.  Saturation at 65504 can come from the first product.
A merged Quant adds its offset to ``y``, with a scale of 1 (:func:`.float16.quantize`).

Status.  Verified: the product, the decision, the types and the order (v100_requant_util.cc and
V100RequantFusionPass of CANN's fusion engine; canndev tbe/impl/ascend_dequant.py).  Inferred: that
the host operation computes the same product and root, and that ``acc * d`` is rounded once (the
kernel writes a cast and a product; the instruction has a scale register to avoid that the cast
saturates).
"""

from __future__ import annotations

from typing import Tuple

import attrs
import numpy as np
from numpy.typing import ArrayLike

from amct_core.errors import QuantizationError
from amct_core.numerics import float16
from amct_core.numerics.arrays import Float32Array, Real, along_channels


@attrs.frozen(eq=False)
class Scale:
    """What the compiler stores for a DeQuant.

    Attributes:
        d: float32 ``[C]`` or ``[1]`` that holds float16 values.
        sqrt_mode: whether ``d`` is a square root, and multiplied twice.
    """

    d: Float32Array
    sqrt_mode: bool


def scale(deq_scale: ArrayLike, quant_scale: Real = 1.0) -> Scale:
    """Return what is stored for ``deq_scale``, float32 ``[C]`` or ``[1]``.

    Args:
        deq_scale: of the deployable model.
        quant_scale: of the Quant that is merged; 1 if none is.

    Raises:
        QuantizationError: a product is not finite: ATC stops.
    """
    with np.errstate(over="ignore"):
        product = np.asarray(deq_scale, np.float32) * np.float32(quant_scale)
    if not np.isfinite(product).all():
        raise QuantizationError("deq_scale times the scale of the Quant is not finite.")
    sqrt_mode = bool((product < np.float32(float16.SMALLEST_NORMAL)).any())
    return Scale(float16.rounded(np.sqrt(product) if sqrt_mode else product), sqrt_mode)


def dequantize(
    acc: ArrayLike, stored: Scale, relu: bool = False, channel_axis: int | None = 1
) -> Float32Array:
    """Return the float16 values that DeQuant makes of accumulators, as float32.

    Args:
        acc: int32 with the bias, (batch, C, ...) by default.
        stored: of :func:`scale`.
        relu: whether a ReLU is folded into the DeQuant: it comes before the second product.
        channel_axis: the axis that counts channels; None with one scale.
    """
    accumulators = np.asarray(acc)
    d = along_channels(stored.d, accumulators, channel_axis).astype(np.float64)
    # 32 and 11 bits: the product is exact in float64.
    y = float16.rounded(accumulators.astype(np.float64) * d)
    if relu:
        y = np.maximum(y, np.float32(0))
    return float16.rounded(y.astype(np.float64) * d) if stored.sqrt_mode else y


def merged_scales(scales: ArrayLike) -> Tuple[bool, np.float32]:
    """Return whether Quants behind one DeQuant are merged, by their scales, and with which.

    The first scale that is not below 1e-5 is the base; a later one that differs from it by more
    than 1e-5 prevents the merging.  Processors of ISA v200 decide in the same way.

    Args:
        scales: float32, in the order of the readers.

    Source: V100RequantFusionPass and V200RequantFusionPass of CANN's fusion engine (verified).
    """
    base = np.float32(0)
    for each in np.asarray(scales, np.float32).reshape(-1):
        if abs(base) < _SAME_SCALE:
            base = each
        elif abs(float(each) - float(base)) > _SAME_SCALE:
            return False, base
    return True, base


_SAME_SCALE = 1e-5
