"""DeQuant: from the int32 accumulator to float32, and the 64-bit word that stores its factors.

Arithmetic, per channel::

    N = 0:  out = float32(acc) * deq_scale
    N > 0:  out = float32(clamp(acc >> N, -32768, 32767) * 2**N) * deq_scale

``>>`` is an arithmetic shift: it rounds toward minus infinity.  The conversion to float32 comes
first and rounds to nearest, halves to even; then there is one float32 multiplication.  In a layer,
N is 0 for all channels (not searched) or in 1..16 for each.

The word of one channel (``uint64``):

=======  =================================================
bits     content
=======  =================================================
0..31    IEEE bits of float32 ``deq_scale``
32..39   N, 0..16
40..47   weight offset, int8; always 0 for Caffe models
48..63   0
=======  =================================================

Source: CANN's fusion engine (quant_host_cpu_op_common.h) and AMCT's ONNX and TensorFlow operators,
which agree on the word; the floor is that of AMCT's integer simulators.
"""

from __future__ import annotations

from typing import Optional, Tuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from amct_core.errors import QuantizationError
from amct_core.numerics.arrays import (
    Array,
    Float32Array,
    Int32Array,
    UInt8Array,
    UInt64Array,
    along_channels,
    channel_list,
)

MAX_SHIFT = 16
"""Largest shift factor N."""

_SHIFT_BIT = np.uint64(32)
_OFFSET_BIT = np.uint64(40)
_RESERVED_BIT = np.uint64(48)
_BYTE = np.uint64(0xFF)
_WORD = np.uint64(0xFFFFFFFF)


def pack(deq_scale: ArrayLike, shift_n: ArrayLike, offset_w: ArrayLike = 0) -> UInt64Array:
    """Return the stored words.

    Args:
        deq_scale: float32, finite and above 0.
        shift_n: 0..16 each.
        offset_w: -128..127 each.  All three broadcast against each other.

    Returns:
        uint64, of the arguments' common shape.

    Raises:
        QuantizationError: a value is out of range.
    """
    scale = np.asarray(deq_scale, np.float32)
    _check_deq_scale(scale)
    shift = _within(shift_n, 0, MAX_SHIFT, "shift_n")
    offset = _within(offset_w, -128, 127, "offset_w")
    bits = np.ascontiguousarray(scale).view(np.uint32).reshape(scale.shape)
    word = bits.astype(np.uint64) | (shift.astype(np.uint64) << _SHIFT_BIT)
    words: UInt64Array = word | (
        offset.astype(np.int8).view(np.uint8).astype(np.uint64) << _OFFSET_BIT
    )
    return words


def unpack(word: ArrayLike) -> Tuple[Float32Array, UInt8Array, NDArray[np.int8]]:
    """Return ``(deq_scale, shift_n, offset_w)`` of stored words, as float32, uint8 and int8.

    Args:
        word: uint64, any shape.

    Raises:
        QuantizationError: reserved bits are set, or a value is out of range.
    """
    words = np.asarray(word, np.uint64)
    reserved = (words >> _RESERVED_BIT) != 0
    if reserved.any():
        raise QuantizationError(
            f"bits 48..63 of a deq_scale word are set ({int(words[reserved][0]):#x}); expected 0.",
            remedy="Check that the file is a deployable model of this toolchain.",
        )
    scale = np.asarray(words & _WORD).astype(np.uint32).view(np.float32)
    shift = np.asarray((words >> _SHIFT_BIT) & _BYTE).astype(np.uint8)
    offset = np.asarray((words >> _OFFSET_BIT) & _BYTE).astype(np.uint8).view(np.int8)
    _check_deq_scale(scale)
    _within(shift, 0, MAX_SHIFT, "shift_n")
    return scale, shift, offset


def without_shift(words: ArrayLike) -> UInt64Array:
    """Return stored words with N = 0: what a processor computes with that ignores N.

    Args:
        words: uint64, any shape.
    """
    result: UInt64Array = np.asarray(words, np.uint64) & ~(_BYTE << _SHIFT_BIT)
    return result


def check_shift_n(shift_n: ArrayLike) -> None:
    """Check the shift factors of one layer.

    Raises:
        QuantizationError: they are neither all 0 nor each in 1..16; the message names the channels.
    """
    shift = np.atleast_1d(_within(shift_n, 0, MAX_SHIFT, "shift_n"))
    if shift.any() and not shift.all():
        raise QuantizationError(
            f"shift N of {channel_list(shift == 0)} is 0, and that of others is not; expected all "
            "0 (not searched) or each in 1..16.",
            remedy="Search N again for this layer.",
        )


def shift(acc: ArrayLike, shift_n: ArrayLike) -> Int32Array:
    """Return ``clamp(acc >> N, -32768, 32767) * 2**N``, or ``acc`` itself where N is 0.

    Args:
        acc: accumulators within int32, bias included.
        shift_n: 0..16, broadcasting against ``acc``.

    Returns:
        int32 (the result always fits).

    Raises:
        QuantizationError: an accumulator does not fit int32, or N is out of range.
    """
    limits = np.iinfo(np.int32)
    wide = _within(acc, limits.min, limits.max, "accumulator")
    bits = _within(shift_n, 0, MAX_SHIFT, "shift_n")
    # Left shift by multiplication: shifting negative numbers left is undefined in C.
    shifted = np.clip(wide >> bits, -32768, 32767) * (1 << bits)
    return np.where(bits == 0, wide, shifted).astype(np.int32)


def dequantize(
    acc: ArrayLike,
    deq_scale: Float32Array,
    shift_n: ArrayLike = 0,
    channel_axis: Optional[int] = 1,
) -> Float32Array:
    """Return ``float32(shift(acc, N)) * deq_scale``.

    Args:
        acc: accumulators within int32, bias included; (batch, C, ...) by default.
        deq_scale: float32 ``[C]`` along ``channel_axis``, or ``[1]``.
        shift_n: like ``deq_scale``; all 0 or each in 1..16.
        channel_axis: the axis that counts channels; None if there is one factor for all.

    Raises:
        QuantizationError: a factor is out of range, or an accumulator does not fit int32.
    """
    scale = np.asarray(deq_scale, np.float32)
    _check_deq_scale(scale)
    check_shift_n(shift_n)
    accumulators = np.asarray(acc)
    bits = along_channels(np.asarray(shift_n), accumulators, channel_axis)
    result = shift(accumulators, bits).astype(np.float32)
    result *= along_channels(scale, accumulators, channel_axis)
    return result


def _check_deq_scale(scale: Float32Array) -> None:
    faulty = ~(np.isfinite(scale) & (scale > 0))
    if faulty.any():
        raise QuantizationError(
            f"deq_scale of {channel_list(faulty)} is {scale[faulty][0]}; expected finite numbers "
            "above 0.",
            field="deq_scale",
        )


def _within(values: ArrayLike, low: int, high: int, what: str) -> Array:
    """Return integers as int64 after a check of their range."""
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise QuantizationError(f"{what} has dtype {array.dtype}; expected integers.", field=what)
    if array.size and (array.min() < low or array.max() > high):
        raise QuantizationError(
            f"{what} ranges from {array.min()} to {array.max()}; expected {low}..{high}.",
            field=what,
        )
    return array.astype(np.int64)
