"""Weights: learned steps, one per output channel or one for all, as ``channel_wise`` says."""

from __future__ import annotations

from typing import Optional, Tuple

import numpy as np

from amct_core.extensions import WeightAlgorithm
from amct_core.numerics import affine, arq
from amct_core.numerics.arrays import along_channels, channel_rows
from amct_lsq_plugin import step as lsq
from amct_lsq_plugin.parameters import DEFAULTS, Parameters
from amct_lsq_plugin.step import Float32Array

LEAST, MOST = -affine.QUANT_MIN, affine.QUANT_MAX
"""Qn and Qp."""


def scales(
    weights: Float32Array,
    channel_axis: Optional[int] = None,
    parameters: Parameters = DEFAULTS,
) -> Float32Array:
    """Return the first steps, float32 ``[C]``, or ``[1]`` without a channel axis."""
    rows = channel_rows(weights, channel_axis)
    if parameters.begin == "least_error":
        return affine.process_scales(lsq.step_of_least_error(rows, LEAST, MOST))
    means = np.abs(rows).mean(axis=1, dtype=np.float64)
    return affine.process_scales(lsq.first_step(means, MOST, parameters.first_step))


def quantize(
    weights: Float32Array,
    scale: Float32Array,
    channel_axis: Optional[int] = None,
    parameters: Parameters = DEFAULTS,
) -> np.ndarray:
    """Return the integers, int8 of the weights' shape."""
    return arq.quantize(weights, scale, channel_axis)


def backward(
    weights: Float32Array,
    top_diff: Float32Array,
    scale: Float32Array,
    channel_axis: Optional[int] = None,
    parameters: Parameters = DEFAULTS,
) -> Tuple[Float32Array, Float32Array]:
    """Return the gradients of the weights and of the steps."""
    t = weights / along_channels(scale, weights, channel_axis)
    integers = quantize(weights, scale, channel_axis)
    d_weights, slope = lsq.gradients(t, integers, top_diff, LEAST, MOST)
    d_scale = channel_rows(slope, channel_axis).sum(axis=1, dtype=np.float64)
    d_scale *= lsq.gradient_scale(weights.size // len(scale), MOST, parameters.gradient_scale)
    return d_weights, d_scale.astype(np.float32)


ALGORITHM = WeightAlgorithm(
    name="lsq",
    scales=scales,
    quantize=quantize,
    backward=backward,
    parameters=Parameters,
)
