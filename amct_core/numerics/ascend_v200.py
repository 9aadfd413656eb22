"""DeQuant, and DeQuant merged with Quant, on processors of ISA v200 (Ascend 310P).

With ``h`` for rounding to float16 and ``sat8, sat9, sat16`` for clamping to so many signed bits.  A
DeQuant that is not merged gives float16::

    y = h(float32(acc) * deq_scale)                          N = 0
    y = h(sat16(acc >> N) * (deq_scale * 2**N))              N > 0

A DeQuant whose readers are Quants, directly or through one ReLU, is one operation on the int32,
with the scale ``s`` of the Quants and *one* offset, without any float16::

    t = acc                       M = float32(deq_scale * s)               N = 0
    t = sat16(acc >> N)           M = float32(deq_scale * s * 2**N)        N > 0
    q = sat8(max(sat9(rint(float32(t) * M)), 0 if ReLU) + offset)

The offset is added behind the rounding, which differs from Quant's own order for halves with an odd
offset.  An Eltwise of DeQuants that have N, and equal words, adds int16 numbers instead::

    s = relu(sat16((acc - bias) >> N)) + (bias >> N)         DequantS16, per input
    q = sat8(sat9(rint(float32(relu(s1 + s2)) * M)) + offset)       RequantS16

Status.  Verified: which operations are made, and the words that they get (V200RequantFusionPass,
V200NotRequantFusionPass, v200_requant_util.cc of CANN's fusion engine; canndev ascend_dequant_s16
and ascend_requant_s16).  Inferred: roundings to nearest, halves to even; that ``acc >> N`` rounds
down; that the saturation to 9 bits stands before the offset (hiascend cceapi_0048); that a product
is rounded once.  Unknown: whether all 24 bits of M and deq_scale count, or the 11 highest.
"""

from __future__ import annotations

from typing import Optional

import numpy as np
from numpy.typing import ArrayLike

from amct_core.errors import QuantizationError
from amct_core.numerics import float16
from amct_core.numerics.affine import QUANT_MAX, QUANT_MIN
from amct_core.numerics.arrays import Float32Array, Int8Array, Int32Array, Real, along_channels

_INT16_MIN, _INT16_MAX = -(2**15), 2**15 - 1
_INT9_MIN, _INT9_MAX = -(2**8), 2**8 - 1


def shifted(acc: ArrayLike, shift_n: ArrayLike, channel_axis: Optional[int] = 1) -> Int32Array:
    """Return ``sat16(acc >> N)`` where N is above 0, and ``acc`` itself elsewhere.

    Args:
        acc: int32, (batch, C, ...) by default.
        shift_n: ``[C]`` or ``[1]``.
        channel_axis: the axis that counts channels; None with one N.
    """
    accumulators = np.asarray(acc)
    bits = along_channels(np.asarray(shift_n), accumulators, channel_axis).astype(np.int32)
    short = np.clip(accumulators >> bits, _INT16_MIN, _INT16_MAX)
    result: Int32Array = np.where(bits > 0, short, accumulators).astype(np.int32)
    return result


def multiplier(deq_scale: ArrayLike, quant_scale: Real, shift_n: ArrayLike) -> Float32Array:
    """Return ``M``, float32 like ``deq_scale``; each product is rounded to float32.

    Raises:
        QuantizationError: a product is not finite.
    """
    with np.errstate(over="ignore"):
        product = np.asarray(deq_scale, np.float32) * np.float32(quant_scale)
        result: Float32Array = product * np.exp2(np.asarray(shift_n, np.float32))
    if not np.isfinite(result).all():
        raise QuantizationError("deq_scale times the scale of the Quant is not finite.")
    return result


def dequantize(
    acc: ArrayLike,
    deq_scale: ArrayLike,
    shift_n: ArrayLike = 0,
    quant_scale: Real = 1.0,
    channel_axis: Optional[int] = 1,
) -> Float32Array:
    """Return the float16 values of a DeQuant that is not merged, as float32.

    Args:
        acc: int32 with the bias.
        deq_scale: float32 ``[C]`` or ``[1]``.
        shift_n: like ``deq_scale``.
        quant_scale: of Quants behind a ReLU6 or LeakyReLU, which gets into the word; 1 otherwise.
        channel_axis: the axis that counts channels; None with one scale.
    """
    t = shifted(acc, shift_n, channel_axis)
    m = along_channels(multiplier(deq_scale, quant_scale, shift_n), t, channel_axis)
    # 24 and 24 bits: the product is exact in float64.
    return float16.rounded(t.astype(np.float32).astype(np.float64) * m.astype(np.float64))


def requantize(
    acc: ArrayLike,
    deq_scale: ArrayLike,
    quant_scale: Real,
    offset: int,
    shift_n: ArrayLike = 0,
    relu: bool = False,
    channel_axis: Optional[int] = 1,
) -> Int8Array:
    """Return the int8 that a merged DeQuant and Quant make of accumulators.

    Args:
        acc: int32 with the bias.
        deq_scale: float32 ``[C]`` or ``[1]``.
        quant_scale: of the Quants.
        offset: of the last Quant, in the order of the readers.
        shift_n: like ``deq_scale``.
        relu: whether a ReLU stands between them.
        channel_axis: the axis that counts channels; None with one scale.
    """
    t = shifted(acc, shift_n, channel_axis)
    m = along_channels(multiplier(deq_scale, quant_scale, shift_n), t, channel_axis)
    return _rounded(t, m, offset, relu)


def shifted_sum(
    acc: ArrayLike,
    bias: ArrayLike,
    shift_n: ArrayLike,
    relu: bool = False,
    channel_axis: Optional[int] = 1,
) -> Int32Array:
    """Return one input of an Eltwise in int16: DequantS16.

    Args:
        acc: int32 *without* the bias.
        bias: int32 ``[C]``, shifted by itself and added behind the ReLU; 0 without one.
        shift_n: ``[C]`` or ``[1]``, each above 0.
        relu: whether a ReLU stands before the Eltwise.
        channel_axis: the axis that counts channels; None with one value for all.
    """
    t = shifted(acc, shift_n, channel_axis)
    if relu:
        t = np.maximum(t, 0)
    bits = np.asarray(shift_n).astype(np.int32)
    own = np.asarray(bias, np.int32) >> bits
    result: Int32Array = (t + along_channels(own, t, channel_axis)).astype(np.int32)
    return result


def requantize_sum(
    t: ArrayLike, m: ArrayLike, offset: int, channel_axis: Optional[int] = 1
) -> Int8Array:
    """Return the int8 of the sum of an Eltwise in int16: RequantS16.

    Args:
        t: sum of :func:`shifted_sum`, a ReLU applied.
        m: of :func:`multiplier`.
        offset: of the first Quant behind it.
        channel_axis: the axis that counts channels; None with one multiplier.
    """
    sums = np.asarray(t)
    return _rounded(sums, along_channels(np.asarray(m, np.float32), sums, channel_axis), offset)


def _rounded(t: Int32Array, m: Float32Array, offset: int, relu: bool = False) -> Int8Array:
    nine = np.clip(np.rint(t.astype(np.float32) * m), _INT9_MIN, _INT9_MAX)
    if relu:
        nine = np.maximum(nine, np.float32(0))
    result: Int8Array = np.clip(nine + np.float32(offset), QUANT_MIN, QUANT_MAX).astype(np.int8)
    return result
