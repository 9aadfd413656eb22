"""Layers that combine inputs, or an input and a parameter, value by value as Caffe rounds.

Source: ``Forward_cpu`` of BVLC Caffe's eltwise_layer, scale_layer and bias_layer.
"""

from __future__ import annotations

from typing import Any, List, Sequence

import numpy as np
from numpy.typing import NDArray

from amct_core.extensions import LayerSimulator
from amct_core.graph import Node
from amct_core.graph.attributes import Bias, Eltwise, Scale
from cpu_sim_backend.layers.fused import multiply_add

Array = NDArray[Any]


def eltwise(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the sum (with coefficients), product or maximum, from the first input on."""
    a = node.attributes if isinstance(node.attributes, Eltwise) else Eltwise()
    result = inputs[0]
    if a.operation == "SUM":
        coefficients = a.coefficients or (1.0,) * len(inputs)
        result = np.zeros_like(inputs[0])
        for coefficient, x in zip(coefficients, inputs):
            result = multiply_add(coefficient, x, result)
        return [result]
    for x in inputs[1:]:
        result = result * x if a.operation == "PROD" else np.where(x >= result, x, result)
    return [result]


def scale(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``x * gamma + beta`` along ``num_axes`` axes from ``axis``."""
    a = node.attributes if isinstance(node.attributes, Scale) else Scale()
    factors = [*inputs[1:], *node.weights]
    result = inputs[0] * _along(factors[0], inputs[0], a.axis)
    if len(factors) > 1:
        result = result + _along(factors[1], result, a.axis)
    return [result]


def bias(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``x + beta`` along ``num_axes`` axes from ``axis``."""
    a = node.attributes if isinstance(node.attributes, Bias) else Bias()
    beta = [*inputs[1:], *node.weights][0]
    return [inputs[0] + _along(beta, inputs[0], a.axis)]


def _along(parameter: Array, x: Array, axis: int) -> Array:
    """Return ``parameter`` shaped to broadcast over ``x`` from ``axis`` on."""
    if parameter.ndim == 0:
        return parameter
    start = axis if axis >= 0 else x.ndim + axis
    return parameter.reshape(parameter.shape + (1,) * (x.ndim - start - parameter.ndim))


SIMULATORS = (
    LayerSimulator(layer_type="Bias", run=bias),
    LayerSimulator(layer_type="Eltwise", run=eltwise),
    LayerSimulator(layer_type="Scale", run=scale),
)
