"""What Ascend processors compute in float16: rounding to it, and Quant.

Rounding is that of IEEE 754 binary16: to nearest, halves to even, subnormal numbers kept.  Beyond
65504 the largest finite number is taken.  Results are float32 arrays that hold float16 values.

Quant, with ``h`` for this rounding::

    q = clamp(rint(h(h(h(x) * h(scale)) + offset)), -128, 127)

A scale below 2**-14 or above 65504 is no float16 of full precision: the compiler stores its square
root ``r`` instead, and the processor multiplies twice, ``h(h(h(x) * h(r)) * h(r))``.

Status: the order of the operations is verified (canndev ops/built-in/tbe/impl/ascend_quant.py: cast
to float16, multiplication, addition of the offset, conversion to int8), and so is the square root
(``DealQuantNotRequant`` in hicann/ge).  That the casts round to nearest and saturate is inferred:
hicann/amct's simulation of float16 does (``CastToFP16Precision``); it keeps more digits of numbers
below 2**-14 than float16 has.
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
        x: any shape, taken as float32; infinities saturate, NaN passes through.

    Returns:
        float32 of the same shape.
    """
    values = np.clip(np.asarray(x, np.float32), -LARGEST, LARGEST)
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
    if SMALLEST_NORMAL <= scale <= LARGEST:
        steps = rounded(steps * rounded(scale))
    else:
        root = rounded(np.sqrt(scale))
        steps = rounded(rounded(steps * root) * root)
    steps = rounded(steps + np.float32(offset))
    return no_nan(np.clip(np.rint(steps), QUANT_MIN, QUANT_MAX)).astype(np.int8)
