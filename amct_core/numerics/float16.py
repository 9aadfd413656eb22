"""What Ascend processors compute in float16: rounding to it, and Quant.

Rounding is that of IEEE 754 binary16: to nearest, halves to even, subnormal numbers kept.  Beyond
65504 the largest finite number is taken.  Results are float32 arrays that hold float16 values.

Quant, with ``h`` for this rounding::

    q = clamp(rint(h(h(h(x) * h(scale)) + offset)), -128, 127)

A scale below 2**-14 is no float16 of full precision: the compiler stores its square root ``r``
instead, and the processor multiplies twice, ``h(h(h(x) * h(r)) * h(r))``.  One above 65504
saturates.

Status: the order of the operations is verified (canndev ops/built-in/tbe/impl/ascend_quant.py: cast
to float16, multiplication, addition of the offset, conversion to int8), and so is the square root
(V100NotRequantFusionPass of CANN's fusion engine in 2021; common code of hicann/ge in 2026 takes it
above 65504, too, and who calls that is not known).  That the casts round to nearest and saturate
is inferred: hicann/amct's simulation of float16 does (``CastToFP16Precision``); it keeps more
digits of numbers below 2**-14 than float16 has.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from amct_core.numerics.affine import QUANT_MAX, QUANT_MIN, check_quant, no_nan
from amct_core.numerics.arrays import Float32Array, Int8Array, Real

LARGEST = 65504.0
"""Largest finite float16."""

SMALLEST_NORMAL = 2.0**-14
"""Smallest float16 of full precision."""


def rounded(x: ArrayLike) -> Float32Array:
    """Return ``x`` rounded to float16.

    Args:
        x: any shape, float64 or taken as float32; rounded once.  Infinities saturate, NaN stays.

    Returns:
        float32 of the same shape.
    """
    given = np.asarray(x)
    values = given if given.dtype == np.float64 else given.astype(np.float32, copy=False)
    values = np.clip(values, -LARGEST, LARGEST)
    result: Float32Array = np.asarray(values.astype(np.float16), np.float32)
    return result


def quantize(x: ArrayLike, quant_scale: Real, offset: int) -> Int8Array:
    """Return the int8 that a processor makes of ``x`` if it computes Quant in float16.

    Products of float16 numbers are exact in float32, and sums that are rounded to float32 and then
    to float16 are rounded as if once (float32 has 2 * 11 + 2 bits).

    Args:
        x: any shape, taken as float32.
        quant_scale: float32 ``1 / scale_d``, finite and above 0.
        offset: -128..127.

    Raises:
        QuantizationError: ``x`` holds NaN, or a factor is out of range.
    """
    scale = check_quant(quant_scale, offset)
    steps = rounded(x)
    if scale >= SMALLEST_NORMAL:
        steps = rounded(steps * rounded(scale))
    else:
        root = rounded(np.sqrt(scale))
        steps = rounded(rounded(steps * root) * root)
    steps = rounded(steps + np.float32(offset))
    return no_nan(np.clip(np.rint(steps), QUANT_MIN, QUANT_MAX)).astype(np.int8)


def dequantize(q: ArrayLike, offset: int, scale_d: Real) -> Float32Array:
    """Return what AntiQuant makes of int8 values: ``h(h(q - offset) * h(scale_d))``.

    Args:
        q: int8, or integers within its range.
        offset: of the Quant that they come from.
        scale_d: float32, one over the scale of that Quant.

    Source: canndev tbe/impl/ascend_anti_quant.py: float16 at each step (verified; the rounding of
    the casts is inferred, as above).
    """
    centered = rounded(np.asarray(q).astype(np.float32) - np.float32(offset))
    return rounded(centered * rounded(np.float32(scale_d)))
