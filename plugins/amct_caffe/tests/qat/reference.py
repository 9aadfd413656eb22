"""Quantization-aware training of an InnerProduct in float64, written from the published formulas.

ULQ (Gong et al., "Near-lossless post-training quantization of deep neural networks via a piecewise
linear approximation", and AMCT's gradients of the bounds) and ARQ; nothing here calls the code
under test.
"""

from __future__ import annotations

from typing import Any, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


def round_half_away(values: Any) -> Any:
    """Round to the nearest integer, halves away from zero."""
    return np.sign(values) * np.floor(np.abs(values) + 0.5)


@attrs.frozen
class Grid:
    """The int8 grid between two clip bounds."""

    clip_max: float
    clip_min: float

    @property
    def step(self) -> float:
        """The distance between two points of the grid."""
        return (self.clip_max - self.clip_min) / 255

    @property
    def zero(self) -> float:
        """The integer that stands for 0."""
        return float(-round_half_away(self.clip_min / self.step) - 128)

    def quantized(self, x: Any) -> Float64:
        """Return the grid's points nearest to ``x``."""
        q = np.clip(np.rint(np.asarray(x, np.float64) / self.step) + self.zero, -128, 127)
        return np.asarray((q - self.zero) * self.step)

    def backward(self, x: Any, gradient: Any) -> Tuple[Float64, float, float]:
        """Return the gradients of ``x``, clip_max and clip_min, element by element, then summed."""
        x, gradient = np.asarray(x, np.float64), np.asarray(gradient, np.float64)
        high, low = self.step * (127 - self.zero), self.step * (-128 - self.zero)
        above, below = x > high, x < low
        inside = ~(above | below)
        error = self._rounding_error(x)
        error_at_min = self._rounding_error(self.clip_min)
        of_max = np.where(above, error_at_min + 1, np.where(below, error_at_min, error))
        of_min = np.where(above, -error_at_min, np.where(below, 1 - error_at_min, -error))
        return (
            np.where(inside, gradient, 0),
            float(np.sum(gradient * of_max)),
            float(np.sum(gradient * of_min)),
        )

    def _rounding_error(self, values: Any) -> Any:
        steps = values / self.step
        return (round_half_away(steps) - steps) / 255


def quantized_weights(weights: Any) -> Float64:
    """Return the fake-quantized weights of a layer with one scale for all."""
    weights = np.asarray(weights, np.float64)
    extreme = weights.flat[np.argmax(np.abs(weights))]
    scale = extreme / (127 if extreme > 0 else -128)
    return np.asarray(np.clip(round_half_away(weights / scale), -128, 127) * scale)


@attrs.frozen
class Product:
    """A quantized InnerProduct under ``sum((y - label)**2) / (2 * batch)``."""

    grid: Grid
    weights: Any
    bias: Any

    def output(self, x: Any) -> Float64:
        """Return ``y``."""
        bias = np.asarray(self.bias, np.float64)
        return np.asarray(self.grid.quantized(x) @ quantized_weights(self.weights).T + bias)

    def loss_gradient(self, x: Any, label: Any) -> Float64:
        """Return the gradient of ``y``."""
        return np.asarray((self.output(x) - np.asarray(label, np.float64)) / len(x))

    def weight_gradient(self, x: Any, gradient: Float64) -> Float64:
        """Return the gradient of the master weights, straight through their rounding."""
        return np.asarray(gradient.T @ self.grid.quantized(x))

    def input_gradient(self, gradient: Float64) -> Float64:
        """Return the gradient of the quantized input."""
        return np.asarray(gradient @ quantized_weights(self.weights))
