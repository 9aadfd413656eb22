"""Activations: one learned step per layer, and no clip bounds.

Where the input cannot be negative, behind a ReLU for one, the integers 0..255 are used: offset_d is
-128.  Elsewhere they are -128..127, and offset_d is 0.  scale_d is the step.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Tuple

import numpy as np

from amct_core.errors import QuantizationError
from amct_core.extensions import ActivationAlgorithm, LearnedParameter
from amct_core.numerics import affine
from amct_core.numerics.arrays import flat_chunks
from amct_lsq_plugin import step as lsq
from amct_lsq_plugin.parameters import DEFAULTS, Parameters
from amct_lsq_plugin.step import Float32Array

Values = Mapping[str, Float32Array]


def limits(fixed_min: bool) -> Tuple[int, int]:
    """Return Qn and Qp."""
    return (0, affine.QUANT_STEPS) if fixed_min else (-affine.QUANT_MIN, affine.QUANT_MAX)


def factors(
    clip_max: float,
    clip_min: float,
    fixed_min: bool,
    values: Values,
    parameters: Parameters = DEFAULTS,
) -> Tuple[np.float32, int]:
    """Return ``(scale_d, offset_d)``; the bounds have no say.

    A step that the solver has made negative, or nearly 0, is taken as the smallest scale there is:
    then everything is clipped, and the gradient leads back.
    """
    found = values["step"][0]
    scale = affine.process_scale(max(found, np.float32(affine.FLT_EPSILON)))
    return scale, affine.QUANT_MIN if fixed_min else 0


def forward(
    x: Float32Array,
    clip_max: float,
    clip_min: float,
    fixed_min: bool,
    values: Values,
    parameters: Parameters = DEFAULTS,
) -> Tuple[Float32Array, np.float32, int]:
    """Return ``(y, scale_d, offset_d)``, ``y`` being ``x`` on the int8 grid."""
    scale, offset = factors(clip_max, clip_min, fixed_min, values)
    q = affine.quantize(x, affine.quant_scale(scale), offset)
    return affine.dequantize(q, offset, scale), scale, offset


def backward(
    x: Float32Array,
    top_diff: Float32Array,
    clip_max: float,
    clip_min: float,
    fixed_min: bool,
    values: Values,
    parameters: Parameters = DEFAULTS,
) -> Tuple[Float32Array, float, float, Dict[str, Any]]:
    """Return the gradient of ``x``, 0 for both bounds, and that of the step."""
    scale, offset = factors(clip_max, clip_min, fixed_min, values)
    reciprocal = affine.quant_scale(scale)
    least, most = limits(fixed_min)
    bottom_diff = np.empty(x.shape, np.float32)
    total = 0.0
    for part, g, result in flat_chunks(x, top_diff, bottom_diff):
        integers = affine.centered(affine.quantize(part, reciprocal, offset), offset, np.float32)
        result[...], slope = lsq.gradients(part * reciprocal, integers, g, least, most)
        total += float(slope.sum(dtype=np.float64))
    # Features of one image: batch size and number of processes change nothing then.
    total *= lsq.gradient_scale(x.size // len(x), most, parameters.gradient_scale)
    return bottom_diff, 0.0, 0.0, {"step": np.array([total], np.float32)}


def initialise(
    x: Float32Array,
    clip_max: float,
    clip_min: float,
    fixed_min: bool,
    batch: int,
    values: Values,
    parameters: Parameters = DEFAULTS,
) -> Values:
    """Return the first step: the mean of those of the batches so far."""
    magnitude = float(np.abs(x).mean(dtype=np.float64))
    if not np.isfinite(magnitude):
        raise QuantizationError("the input holds NaN or infinity.", remedy="Check the data.")
    least, most = limits(fixed_min)
    if parameters.begin == "paper":
        found = lsq.first_step([magnitude], most, parameters.first_step)
    else:
        found = lsq.step_of_least_error(_some(x), least, most)
    before = values["step"] if batch > 1 else found
    return {"step": (before + (found - before) / np.float32(batch)).astype(np.float32)}


def _some(x: Float32Array) -> Float32Array:
    """Return about 100,000 values of a batch, with its extremes."""
    flat = x.reshape(-1)
    every = flat.size // 100_000
    if every <= 1:
        return flat
    return np.concatenate([flat[::every], [flat.max(), flat.min()]]).astype(np.float32)


ALGORITHM = ActivationAlgorithm(
    name="lsq",
    forward=forward,
    backward=backward,
    factors=factors,
    parameters=Parameters,
    learned=(LearnedParameter("step"),),
    initialise=initialise,
)
