"""What is tried, and what was measured of it."""

from __future__ import annotations

from typing import Any, Optional, Tuple

import attrs
import numpy as np
from numpy.typing import ArrayLike

from amct_core.plugins import registries
from amct_core.ptq.improvements.steps import Improvements


@attrs.frozen
class Recipe:
    """How layers are quantized.

    Attributes:
        act_algo: the calibrator of all layers.
        equalized: whether the ranges of channels are evened out across layers first.
        bias_corrected: whether the biases of the quantized layers are corrected afterwards.
        weight_rounding: name of what rounds their weights before that; None: to the nearest.
    """

    act_algo: str
    equalized: bool = False
    bias_corrected: bool = False
    weight_rounding: Optional[str] = None

    def __str__(self) -> str:
        words = [self.act_algo]
        words += ["equalization"] if self.equalized else []
        words += [self.weight_rounding] if self.weight_rounding else []
        words += ["bias correction"] if self.bias_corrected else []
        return "+".join(words)

    @property
    def improvements(self) -> Improvements:
        """What is done before and after calibration.

        Raises:
            PluginError: there is no such rounding of weights.
        """
        roundings, name = registries().weight_roundings, self.weight_rounding
        return Improvements(
            equalize=self.equalized,
            bias_correction=self.bias_corrected,
            weight_rounding=None if name is None else roundings.get(name),
        )

    @property
    def calibration(self) -> Recipe:
        """The recipe without what is done after calibration: those of one calibration are equal."""
        return Recipe(self.act_algo, self.equalized)


@attrs.frozen
class Candidate:
    """One way to quantize the network.

    Attributes:
        recipe: of the layers in integers.
        float_layers: quantizable layers that stay in float, in network order.
    """

    recipe: Recipe
    float_layers: Tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.float_layers:
            return f"{self.recipe}, all layers int8"
        return f"{self.recipe}, in float: {', '.join(self.float_layers)}"


@attrs.frozen
class Measurement:
    """The accuracy of a candidate beside that of float32 on the same samples.

    Attributes:
        accuracy: percent.
        drop: accuracy of float32 less that of the candidate, in points.
        standard_error: of ``drop``, in points, from the differences of single samples; None where
            the metric gives one number for all.
        samples: how many there were.
    """

    accuracy: float
    drop: float
    standard_error: Optional[float]
    samples: int


def compared(scores: ArrayLike, baseline: ArrayLike) -> Measurement:
    """Return the measurement of a candidate.

    Both are measured on the same samples, so the error is that of the mean of paired differences:
    samples on which both are right, or both are wrong, add nothing to it.

    Args:
        scores, baseline: of the candidate and of float32, one per sample (1 right, 0 wrong, or any
            number whose mean is the metric), or one number for all.
    """
    own, other = (np.asarray(each, np.float64) for each in (scores, baseline))
    difference: Any = other - own
    error = None
    if difference.ndim and difference.size > 1:
        error = float(100 * difference.std(ddof=1) / np.sqrt(difference.size))
    return Measurement(
        float(100 * own.mean()), float(100 * difference.mean()), error, int(difference.size)
    )
