"""ARQ in place: fake-quantized weights go into an array of the caller's, in one pass over memory.

Gives what :mod:`amct_core.numerics.arq` gives, bit for bit; where numba is missing, that runs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from amct_core.errors import QuantizationError
from amct_core.kernels.loading import load
from amct_core.kernels.threads import share_out
from amct_core.numerics import arq
from amct_core.numerics.arrays import Array, Float32Array, along_channels

_LEAST = 1 << 16
"""Weights that are worth another thread."""


def prepare() -> None:
    """Compile, or load what has been compiled."""
    load("arq")


def fake_quantize_into(
    weights: Float32Array,
    out: Float32Array,
    signs: Float32Array,
    output_axis: int,
    channel_wise: bool,
) -> Float32Array:
    """Write ``signs * fake_quantize(signs * weights)`` into ``out``.

    ``out`` is read and compared first, and rows that are right already are not written again.

    Args:
        weights: float32, any shape, not empty.
        out: float32 of the same shape, C-contiguous.
        signs: float32 ``[C]`` of 1 and -1 along ``output_axis``, or ``[1]``.
        output_axis: the axis that counts output channels.
        channel_wise: one scale per channel, or one for all.

    Returns:
        The scales: float32 ``[C]`` or ``[1]``.

    Raises:
        QuantizationError: see :func:`amct_core.numerics.arq.scales`; part of ``out`` may have been
            written.
    """
    kernels = load("arq")
    if kernels is None or weights.size == 0:
        return _by_definition(weights, out, signs, output_axis, channel_wise)
    if out.dtype != np.float32 or not out.flags.c_contiguous:
        raise QuantizationError("results can only be written into C-contiguous float32 arrays.")
    values, target = (_by_channel(array, output_axis) for array in (weights, out))
    channels, per_channel = values.shape[1], values.shape[0] * values.shape[2]
    all_signs = np.full(channels, signs, np.float32)
    least = -(-_LEAST // per_channel)
    if channel_wise:
        scales = np.zeros(channels, np.float32)
        share_out(
            channels,
            lambda *part: kernels.fake_quantize_channels(values, target, all_signs, scales, *part),
            least,
        )
    else:
        scales = _one_scale(kernels, values, all_signs, least)
        if scales[0] > 0:
            share_out(
                channels,
                lambda *part: kernels.fake_quantize_with(
                    values, target, all_signs, scales[0], *part
                ),
                least,
            )
    if (scales <= 0).any():
        return _by_definition(weights, out, signs, output_axis, channel_wise)  # tells why
    return scales


def _one_scale(kernels: Any, values: Float32Array, signs: Float32Array, least: int) -> Float32Array:
    keys = np.empty((len(signs), 2), np.int32)
    share_out(len(signs), lambda *part: kernels.extremes(values, keys, *part), least)
    # The keys of -w are those of w, the other way round and with every bit turned.
    oriented = np.where((signs < 0)[:, None], ~keys[:, ::-1], keys)
    lowest, highest = oriented[:, 0].min(), oriented[:, 1].max()
    return np.asarray([kernels.scale_of(lowest, highest, np.float32(1))], np.float32)


def _by_definition(
    weights: Float32Array,
    out: Float32Array,
    signs: Float32Array,
    output_axis: int,
    channel_wise: bool,
) -> Float32Array:
    axis = output_axis if channel_wise else None
    along = along_channels(signs, weights, output_axis)
    oriented = weights * along
    scales = arq.scales(oriented, axis)
    integers = arq.quantize(oriented, scales, axis)
    signed = np.asarray(signs * scales)  # exact: the factor is 1 or -1
    np.multiply(integers, along_channels(signed, weights, output_axis), out=out, dtype=np.float32)
    return scales


def _by_channel(array: Array, axis: int) -> Array:
    """Return ``array`` as 3-D ``[outer, C, inner]``."""
    shape = array.shape
    contiguous = np.ascontiguousarray(array, np.float32)
    return contiguous.reshape(math.prod(shape[:axis]), shape[axis], -1)
