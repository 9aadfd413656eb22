"""Quantized layers that are turned back into float16 layers.

Quant and DeQuant go; the layer reads what the Quant read.  Its weights and its bias are the
integers multiplied by their scales again, rounded to float16 (``h``)::

    weights = h(float32(w_q) * (deq_scale * quant_scale))        deq_scale * quant_scale ~ scale_w
    bias    = h(float32(b_q) * deq_scale)
    out     = h(sum(h(x) * weights) + bias)

Sums are kept in float32 and rounded to float16 once, with the bias in them.  An AVE Pooling has no
weights: ``out = h(average(h(x)))``.  N and the offset play no part.

Status.  Verified: weights and bias are made of the integers, deq_scale and the Quant's scale, in
float32, and the layer takes them, its input and its output in float16 (CANN fusion engine,
bias_optimize_quant_rollback_base.cc: CreateNewHostCpuOp and SetCubeNodeDataType); products of
float16 are summed in float32 (canndev, tbe/dsl/compute/conv_compute.py: ``mad_dtype``).
Inferred: the order of the multiplications, that these products are not rounded in another way, and
that a Pooling adds in float32.  The order of the additions is not public.
"""

from __future__ import annotations

from typing import Optional

import numpy as np

from amct_core.numerics import float16
from amct_core.numerics.arrays import (
    Float32Array,
    Int8Array,
    Int32Array,
    Real,
    along_channels,
)


def weights(
    q: Int8Array, deq_scale: Float32Array, quant_scale: Real, channel_axis: Optional[int]
) -> Float32Array:
    """Return ``h(float32(q) * (deq_scale * quant_scale))``, float16 values in float32.

    Args:
        q: int8 weights, any layout.
        deq_scale: float32 ``[C]`` along ``channel_axis``, or ``[1]``.
        quant_scale: of the layer's Quant, float32.
        channel_axis: the axis of ``q`` that counts output channels; None with one scale.
    """
    scale = np.asarray(deq_scale, np.float32) * np.float32(quant_scale)
    return float16.rounded(q.astype(np.float32) * along_channels(scale, q, channel_axis))


def bias(q: Int32Array, deq_scale: Float32Array) -> Float32Array:
    """Return ``h(float32(q) * deq_scale)``, float16 values in float32.

    Args:
        q: int32 ``[C]``.
        deq_scale: float32 ``[C]`` or ``[1]``.
    """
    return float16.rounded(q.astype(np.float32) * np.asarray(deq_scale, np.float32))
