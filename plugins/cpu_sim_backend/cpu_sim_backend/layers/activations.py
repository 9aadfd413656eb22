"""Activation functions, in the order in which Caffe rounds.

Caffe's functions of libm are computed here in float64 and rounded once, which is within one unit of
the last place of what libm's float32 ones return.

Source: ``Forward_cpu`` of BVLC Caffe's layers of the same names.
"""

from __future__ import annotations

from typing import Any, List, Sequence

import numpy as np
from numpy.typing import NDArray

from amct_core.extensions import LayerSimulator
from amct_core.graph import Node
from amct_core.graph.attributes import ELU, Exp, Log, Power, PReLU, ReLU, Swish, Threshold

Array = NDArray[Any]

_ONE = np.float32(1)
_ZERO = np.float32(0)


def relu(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``max(x, 0) + negative_slope * min(x, 0)``."""
    slope = node.attributes.negative_slope if isinstance(node.attributes, ReLU) else 0.0
    if slope == 0:
        return [np.maximum(inputs[0], _ZERO)]
    return [_positive(inputs[0]) + np.float32(slope) * _negative(inputs[0])]


def prelu(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``max(x, 0) + slope * min(x, 0)`` with a slope per channel, or one for all."""
    a = node.attributes if isinstance(node.attributes, PReLU) else PReLU()
    x = inputs[0]
    slopes = np.asarray(node.weights[0], np.float32).reshape(-1)
    if not a.channel_shared:
        slopes = slopes.reshape((-1,) + (1,) * (x.ndim - 2))
    return [_positive(x) + slopes * _negative(x)]


def elu(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``max(x, 0) + alpha * (exp(min(x, 0)) - 1)``."""
    a = node.attributes if isinstance(node.attributes, ELU) else ELU()
    x = inputs[0]
    return [_positive(x) + np.float32(a.alpha) * (_rounded(np.exp, _negative(x)) - _ONE)]


def absolute(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``|x|``."""
    return [np.abs(inputs[0])]


def threshold(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return 1 where ``x > threshold``, else 0."""
    a = node.attributes if isinstance(node.attributes, Threshold) else Threshold()
    return [(inputs[0] > np.float32(a.threshold)).astype(np.float32)]


def bnll(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``log(1 + exp(x))``, as ``x + log(1 + exp(-x))`` where x is positive."""
    x = inputs[0]
    # exp rounds to float32; the rest is float64, for Caffe writes 1 as a double.
    powers = _rounded(np.exp, -np.abs(x)).astype(np.float64)
    return [(_positive(x) + np.log(1.0 + powers)).astype(np.float32)]


def sigmoid(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``0.5 * tanh(0.5 * x) + 0.5``."""
    return [_sigmoid(inputs[0])]


def swish(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``x * sigmoid(beta * x)``."""
    a = node.attributes if isinstance(node.attributes, Swish) else Swish()
    return [inputs[0] * _sigmoid(inputs[0] * np.float32(a.beta))]


def tanh(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``tanh(x)``."""
    return [_rounded(np.tanh, inputs[0])]


def power(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``(shift + scale * x) ** power``, steps that change nothing left out."""
    a = node.attributes if isinstance(node.attributes, Power) else Power()
    exponent, scale, shift = np.float32(a.power), np.float32(a.scale), np.float32(a.shift)
    x = inputs[0]
    if exponent * scale == 0:
        value = _ONE if exponent == 0 else _raised(np.asarray(shift), exponent)
        return [np.full_like(x, value)]
    return [_raised(_shifted(x, scale, shift), exponent)]


def exp(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``base`` to the power of ``shift + scale * x``, as a product of two powers."""
    a = node.attributes if isinstance(node.attributes, Exp) else Exp()
    shift = np.asarray(a.shift, np.float32)
    inner = np.asarray(a.scale, np.float32)
    outer = _rounded(np.exp, shift)
    if a.base != -1:
        base = np.asarray(a.base, np.float32)
        inner = _rounded(np.log, base) * inner
        outer = _raised(base, np.float32(shift))
    return [_rounded(np.exp, inputs[0] * inner) * outer]


def log(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the logarithm of ``shift + scale * x``: the natural one, over that of the base."""
    a = node.attributes if isinstance(node.attributes, Log) else Log()
    result = _rounded(np.log, _shifted(inputs[0], np.float32(a.scale), np.float32(a.shift)))
    if a.base == -1:
        return [result]
    return [result * (_ONE / _rounded(np.log, np.asarray(a.base, np.float32)))]


def is_linear(node: Node) -> bool:
    """Return whether a Power raises nothing: only then libm has no part in it."""
    return isinstance(node.attributes, Power) and node.attributes.power == 1


def _positive(x: Array) -> Array:
    return np.asarray(np.maximum(x, _ZERO))


def _negative(x: Array) -> Array:
    return np.asarray(np.minimum(x, _ZERO))


def _shifted(x: Array, scale: np.float32, shift: np.float32) -> Array:
    return x * scale + shift


def _raised(x: Array, exponent: np.float32) -> Array:
    if exponent == 1:
        return x
    return np.asarray(np.power(x.astype(np.float64), np.float64(exponent)).astype(np.float32))


def _sigmoid(x: Array) -> Array:
    # Caffe's constants are doubles, and so are all steps.
    return np.asarray((0.5 * np.tanh(0.5 * x.astype(np.float64)) + 0.5).astype(np.float32))


def _rounded(function: Any, x: Array) -> Array:
    return np.asarray(function(x.astype(np.float64)).astype(np.float32))


SIMULATORS = (
    LayerSimulator(layer_type="AbsVal", run=absolute),
    LayerSimulator(layer_type="BNLL", run=bnll, exact=False),
    LayerSimulator(layer_type="ELU", run=elu, exact=False),
    LayerSimulator(layer_type="Exp", run=exp, exact=False),
    LayerSimulator(layer_type="Log", run=log, exact=False),
    LayerSimulator(layer_type="PReLU", run=prelu),
    LayerSimulator(layer_type="Power", run=power, exact=is_linear),
    LayerSimulator(layer_type="ReLU", run=relu),
    LayerSimulator(layer_type="Sigmoid", run=sigmoid, exact=False),
    LayerSimulator(layer_type="Swish", run=swish, exact=False),
    LayerSimulator(layer_type="TanH", run=tanh, exact=False),
    LayerSimulator(layer_type="Threshold", run=threshold),
)
