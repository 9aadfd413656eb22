"""When float32 arithmetic on integers is exact, and how an int32 travels through float32 blobs.

The fake-quantized Caffe model computes with integer-valued floats.  float32 holds every integer up
to 2**24, so whatever the order of summation the result is exact while no partial sum can exceed
that.  Per output channel this is certain if::

    sum |w_q| * max(|-128 - offset|, |127 - offset|) < 2**24

Where it is not, the layer's input channels are split into parts for which it is, and the parts'
accumulators are added as integers.

An int32 bias does not fit one float32; it is stored as two, ``high * 65536 + low``.
"""

from __future__ import annotations

from typing import Optional, Tuple

import numpy as np

from amct_core.errors import QuantizationError
from amct_core.numerics.affine import QUANT_MAX, QUANT_MIN
from amct_core.numerics.arrays import (
    Float32Array,
    Int8Array,
    Int16Array,
    Int32Array,
    Int64Array,
    channel_rows,
)

EXACT_LIMIT = 2**24
"""Sums of integers stay exact in float32 below this magnitude."""

_LOW_RANGE = 1 << 16


def partial_sum_bound(
    weights: Int8Array, offset: int, channel_axis: Optional[int] = 0
) -> Int64Array:
    """Return the largest magnitude that any partial sum of ``w_q * (q - offset)`` can reach.

    Args:
        weights: int8; every output element uses each weight of its channel at most once.
        offset: offset_d of the input, -128..127.
        channel_axis: the axis that counts output channels (1 for Deconvolution).

    Returns:
        int64 ``[C]``; exact in float32 where below :data:`EXACT_LIMIT`.
    """
    rows = channel_rows(np.asarray(weights, np.int8), channel_axis)
    sums: Int64Array = _magnitudes(rows).sum(axis=1, dtype=np.int64)
    return sums * _largest_input(offset)


def is_exact(bound: Int64Array) -> bool:
    """Return whether every bound of :func:`partial_sum_bound` is below 2**24."""
    return bool((np.asarray(bound) < EXACT_LIMIT).all())


def input_parts(
    weights: Int8Array, offset: int, output_axis: int, input_axis: int
) -> Tuple[slice, ...]:
    """Return consecutive ranges of input channels whose partial sums are exact each by itself.

    Ranges are as long as they can be.  A single input channel whose own sum is too large is a range
    of its own (that takes a window of more than 500 weights).

    Args:
        weights: int8; ``input_axis`` counts input channels (within a group, if grouped).
        offset: offset_d of the input, -128..127.
        output_axis: the axis that counts output channels.
        input_axis: the axis that is cut.

    Returns:
        Slices of ``input_axis``; a single one where the layer as a whole is exact.
    """
    channels, outputs = weights.shape[input_axis], weights.shape[output_axis]
    if is_exact(partial_sum_bound(weights, offset, output_axis)):
        return (slice(0, channels),)
    starts, running = [0], np.zeros(outputs, np.int64)
    for channel, own in enumerate(np.moveaxis(weights, (input_axis, output_axis), (0, 1))):
        sums = _magnitudes(own.reshape(outputs, -1)).sum(axis=1, dtype=np.int64)
        sums *= _largest_input(offset)
        running += sums
        if running.max(initial=0) >= EXACT_LIMIT and channel > starts[-1]:
            starts.append(channel)
            running = sums
    return tuple(slice(start, end) for start, end in zip(starts, [*starts[1:], channels]))


def _magnitudes(integers: Int8Array) -> Int16Array:
    # int16 holds the magnitude of -128, and large weights do not need much memory in it.
    magnitudes: Int16Array = np.abs(integers, dtype=np.int16)
    return magnitudes


def _largest_input(offset: int) -> int:
    """Return the largest magnitude of ``q - offset``."""
    return max(abs(QUANT_MIN - offset), abs(QUANT_MAX - offset))


def split_bias(bias: Int32Array) -> Tuple[Float32Array, Float32Array]:
    """Return ``(high, low)``, integer-valued float32, with ``bias = high * 65536 + low``.

    Args:
        bias: int32, any shape.

    Returns:
        ``high`` in -32768..32767 (the upper 16 bits, signed) and ``low`` in 0..65535.
    """
    wide = np.asarray(bias, np.int32).astype(np.int64)
    return (wide // _LOW_RANGE).astype(np.float32), (wide % _LOW_RANGE).astype(np.float32)


def join_bias(high: Float32Array, low: Float32Array) -> Int32Array:
    """Return ``high * 65536 + low`` as int32, the inverse of :func:`split_bias`.

    Raises:
        QuantizationError: the halves are not integers in their ranges.
    """
    top, bottom = np.asarray(high, np.float64), np.asarray(low, np.float64)
    whole = (top == np.rint(top)) & (bottom == np.rint(bottom))
    inside = (np.abs(top + 0.5) < _LOW_RANGE / 2) & (bottom >= 0) & (bottom < _LOW_RANGE)
    if not (whole & inside).all():
        raise QuantizationError(
            "the two halves of a bias are not integers of 16 bits each.",
            remedy="The weights file has been changed after it was saved; save the model again.",
        )
    return (top * _LOW_RANGE + bottom).astype(np.int32)
