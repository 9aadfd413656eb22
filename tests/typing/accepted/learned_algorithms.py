"""Algorithms that learn or keep more, and have parameters of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Optional, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.extensions import (
    ActivationAlgorithm,
    Calibrator,
    LearnedParameter,
    ShiftSearch,
    StateVariable,
    WeightAlgorithm,
)
from amct_core.hookspecs import hookimpl
from amct_core.numerics import affine, arq

Array = NDArray[np.float32]
Values = Mapping[str, Array]


@attrs.frozen
class Parameters:
    share: float = attrs.field(default=1.0, validator=attrs.validators.gt(0.0))
    mode: Optional[str] = None


def factors(
    clip_max: float, clip_min: float, fixed_min: bool, values: Values, parameters: Parameters
) -> Tuple[np.float32, int]:
    return affine.process_scale(values["step"][0] * np.float32(parameters.share)), 0


def forward(
    x: Array,
    clip_max: float,
    clip_min: float,
    fixed_min: bool,
    values: Values,
    parameters: Parameters,
) -> Tuple[Array, np.float32, int]:
    scale, offset = factors(clip_max, clip_min, fixed_min, values, parameters)
    q = affine.quantize(x, affine.quant_scale(scale), offset)
    return affine.dequantize(q, offset, scale), scale, offset


def backward(
    x: Array,
    top_diff: Array,
    clip_max: float,
    clip_min: float,
    fixed_min: bool,
    values: Values,
    parameters: Parameters,
) -> Tuple[Array, float, float, Mapping[str, Array]]:
    return top_diff, 0.0, 0.0, {"step": np.zeros(1, np.float32)}


def observe(
    x: Array,
    clip_max: float,
    clip_min: float,
    fixed_min: bool,
    values: Values,
    parameters: Parameters,
) -> Values:
    return {"largest": np.maximum(values["largest"], np.abs(x).max())}


def weight_gradients(
    weights: Array, top_diff: Array, scale: Array, channel_axis: Optional[int]
) -> Tuple[Array, Array]:
    return top_diff, np.zeros_like(scale)


@hookimpl
def amct_activation_algorithms() -> Iterable[ActivationAlgorithm]:
    return [
        ActivationAlgorithm(
            "mine",
            forward,
            backward,
            factors,
            parameters=Parameters,
            learned=[LearnedParameter("step", initial=0.1, lr_mult=0.5)],
            state=(StateVariable("largest", shape=(1,)),),
            observe=observe,
        )
    ]


@hookimpl
def amct_weight_algorithms() -> Iterable[WeightAlgorithm]:
    return [WeightAlgorithm("mine", arq.scales, arq.quantize, backward=weight_gradients)]


@hookimpl
def amct_calibrators() -> Iterable[Calibrator]:
    return [Calibrator("mine", lambda batches, share: (share, 0), parameters=Parameters)]


@hookimpl
def amct_shift_searches() -> Iterable[ShiftSearch]:
    return [ShiftSearch("mine", parameters=Parameters)]
