"""ARQ: int8 weights whose scale follows the largest magnitude (no offset).

Per channel, or for the whole tensor, in float32::

    m     = max(w) if |max(w)| > |min(w)| else min(w)
    scale = process_scale(m / 127 if m > 0 else m / -128)
    q     = clamp(round(w / scale), -128, 127)          halves away from zero
    fake  = q * scale

Where ``max == -min`` the minimum decides, so the scale is ``absmax / 128`` and the maximum
saturates at 127.  A channel of zeros, or of magnitudes below ``128 * FLT_EPSILON``, gets scale 1.0
and integers of 0.

A grouped convolution is nothing special: one scale per entry of the channel axis.  The axis is 0
for Convolution and InnerProduct and 1 for Deconvolution, whose blobs are ``[in, out, kh, kw]``.

Source: hicann/amct quantize_lib, arq.cpp and util.cpp.  (AMCT for PyTorch divides a tie by 127.)
"""

from __future__ import annotations

from typing import Optional

import numpy as np

from amct_core.errors import QuantizationError
from amct_core.numerics.affine import QUANT_MAX, QUANT_MIN, process_scales
from amct_core.numerics.arrays import (
    Float32Array,
    Int8Array,
    along_channels,
    channel_list,
    channel_rows,
    row_chunks,
)
from amct_core.numerics.rounding import half_away


def scales(weights: Float32Array, channel_axis: Optional[int] = None) -> Float32Array:
    """Return the scale of each channel.

    Args:
        weights: float32, any shape, not empty.
        channel_axis: the axis that counts output channels; None for one scale.

    Returns:
        float32 ``[C]``, or ``[1]`` without a channel axis; each in FLT_EPSILON .. 1 / FLT_EPSILON.

    Raises:
        QuantizationError: a weight is NaN or infinite, or a scale is above 1 / FLT_EPSILON.
    """
    values = np.asarray(weights, np.float32)
    if values.size == 0:
        raise QuantizationError(f"weights of shape {values.shape} hold no values.")
    rows = channel_rows(values, channel_axis)
    high, low = rows.max(axis=1), rows.min(axis=1)
    faulty = ~(np.isfinite(high) & np.isfinite(low))
    if faulty.any():
        where = f" of {channel_list(faulty)}" if channel_axis is not None else ""
        raise QuantizationError(
            f"weights{where} are NaN or infinite.",
            remedy="If training diverged, lower its learning rate.",
        )
    extreme = np.where(np.abs(high) > np.abs(low), high, low)
    limit = np.where(extreme > 0, np.float32(QUANT_MAX), np.float32(QUANT_MIN))
    return process_scales(extreme / limit)


def quantize(
    weights: Float32Array, scale: Float32Array, channel_axis: Optional[int] = None
) -> Int8Array:
    """Return ``clamp(round(weights / scale), -128, 127)``, halves away from zero.

    Args:
        weights: float32, any shape.
        scale: float32 ``[C]`` along ``channel_axis``, or ``[1]``.
        channel_axis: see :func:`scales`.

    Returns:
        int8 of the weights' shape.

    Raises:
        QuantizationError: a weight is NaN, or the scales do not fit the weights.
    """
    values = np.asarray(weights, np.float32)
    scales_along = along_channels(np.asarray(scale, np.float32), values, channel_axis)
    divisors = np.broadcast_to(scales_along, values.shape)
    integers = np.empty(values.shape, np.int8)
    for rows in row_chunks(values):
        steps = half_away(values[rows] / divisors[rows])
        if np.isnan(steps).any():
            raise QuantizationError("a weight is NaN.", remedy="Check the weights file.")
        integers[rows] = np.clip(steps, QUANT_MIN, QUANT_MAX, out=steps)
    return integers
