"""Layers that work value by value, in the order in which Caffe rounds."""

from __future__ import annotations

from typing import Any, List, Sequence

import numpy as np
from numpy.typing import NDArray

from amct_core.extensions import LayerSimulator
from amct_core.graph import Node
from amct_core.graph.attributes import BatchNorm, Eltwise, ReLU, Scale

Array = NDArray[Any]


def relu(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``max(x, 0) + negative_slope * min(x, 0)``."""
    slope = node.attributes.negative_slope if isinstance(node.attributes, ReLU) else 0.0
    positive = np.maximum(inputs[0], np.float32(0))
    return [positive + np.float32(slope) * np.minimum(inputs[0], np.float32(0))]


def eltwise(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the sum (with coefficients), product or maximum, from the first input on."""
    a = node.attributes if isinstance(node.attributes, Eltwise) else Eltwise()
    result = inputs[0]
    if a.operation == "SUM":
        coefficients = a.coefficients or (1.0,) * len(inputs)
        result = np.zeros_like(inputs[0])
        for coefficient, x in zip(coefficients, inputs):
            result = result + np.float32(coefficient) * x
        return [result]
    combine = np.multiply if a.operation == "PROD" else np.maximum
    for x in inputs[1:]:
        result = combine(result, x)
    return [result]


def scale(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``x * gamma + beta`` along ``num_axes`` axes from ``axis``."""
    a = node.attributes if isinstance(node.attributes, Scale) else Scale()
    x = inputs[0]
    factors = [*node.weights] if len(inputs) == 1 else [inputs[1], *node.weights]
    axis = a.axis if a.axis >= 0 else x.ndim + a.axis
    after = x.ndim - axis - factors[0].ndim
    result = x * factors[0].reshape(factors[0].shape + (1,) * after)
    if len(factors) > 1:
        result = result + factors[1].reshape(factors[1].shape + (1,) * after)
    return [result]


def batch_norm(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``(x - mean) / sqrt(variance + eps)`` with stored statistics."""
    a = node.attributes if isinstance(node.attributes, BatchNorm) else BatchNorm()
    mean, variance, factor = (np.asarray(blob, np.float32) for blob in node.weights)
    divisor = factor.reshape(-1)[0]
    common = np.float32(0) if divisor == 0 else np.float32(1) / divisor
    along = (1, -1) + (1,) * (inputs[0].ndim - 2)
    deviation = np.sqrt(variance * common + np.float32(a.eps))
    return [(inputs[0] - (mean * common).reshape(along)) / deviation.reshape(along)]


def sigmoid(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``0.5 * tanh(0.5 * x) + 0.5``."""
    half = np.float32(0.5)
    return [half * np.tanh(half * inputs[0]) + half]


SIMULATORS = (
    LayerSimulator(layer_type="ReLU", run=relu),
    LayerSimulator(layer_type="Eltwise", run=eltwise),
    LayerSimulator(layer_type="Scale", run=scale),
    LayerSimulator(layer_type="BatchNorm", run=batch_norm, exact=False),
    LayerSimulator(layer_type="Sigmoid", run=sigmoid, exact=False),
    LayerSimulator(layer_type="TanH", run=lambda node, x: [np.tanh(x[0])], exact=False),
)
