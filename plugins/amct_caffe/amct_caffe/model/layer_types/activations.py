"""Layers that compute each value from the value in its place, in the order in which Caffe rounds.

``powf``, ``tanhf`` and ``tanh`` are those of the C library that is loaded, which are Caffe's where
it is built with the same one.  ``expf`` and ``logf`` are computed here in float64 and rounded once,
which is within one unit of the last place of what the library returns.

Source: ``Forward_cpu`` of BVLC Caffe's layers of the same names.
"""

from __future__ import annotations

from typing import Any, Callable, List, Sequence

import attrs
import numpy as np

from amct_caffe.model.expected_blob import ExpectedBlob
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.layer_types.axes import Array, Shapes
from amct_caffe.model.layer_types.fitting import per_channel
from amct_caffe.model.parameters import Parameters
from amct_core.extensions import LayerType, OnnxWriter, Sign, same_shape
from amct_core.graph import Node
from amct_core.graph.attributes import Attributes, ReLU
from amct_core.kernels import libm

_ONE = np.float32(1)
_ZERO = np.float32(0)


@attrs.frozen
class PReLU(Attributes):
    """ReLU whose negative slope is a parameter: one per channel, or one for all of them."""

    channel_shared: bool


@attrs.frozen
class ELU(Attributes):
    """``max(x, 0) + alpha * (exp(min(x, 0)) - 1)``."""

    alpha: float


@attrs.frozen
class Power(Attributes):
    """``(shift + scale * x) ** power``."""

    power: float
    scale: float
    shift: float


@attrs.frozen
class Exp(Attributes):
    """``base ** (shift + scale * x)``; a base of -1 stands for e."""

    base: float
    scale: float
    shift: float


@attrs.frozen
class Log(Attributes):
    """``log_base(shift + scale * x)``; a base of -1 stands for e."""

    base: float
    scale: float
    shift: float


@attrs.frozen
class Threshold(Attributes):
    """1 where ``x > threshold``, else 0."""

    threshold: float


@attrs.frozen
class Swish(Attributes):
    """``x * sigmoid(beta * x)``."""

    beta: float


def _numbers(kind: Callable[..., Attributes], field: str, *names: str) -> Callable[[Layer], Any]:
    """Return a reader of attributes that are all floats."""

    def read(layer: Layer) -> Attributes:
        parameters = Parameters(layer, field)
        return kind(*(parameters.number(name) for name in names))

    return read


def _read_prelu(layer: Layer) -> PReLU:
    return PReLU(Parameters(layer, "prelu_param").boolean("channel_shared"))


def _prelu_blobs(layer: Layer) -> List[ExpectedBlob]:
    shared = layer.parameters("prelu_param").boolean("channel_shared", False)
    return [ExpectedBlob(() if shared else (None,))]


def _check_prelu(node: Node, inputs: Shapes) -> None:
    if not node.typed(PReLU).channel_shared:
        per_channel(node, inputs)


def relu(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``max(x, 0) + negative_slope * min(x, 0)``."""
    slope = node.typed(ReLU).negative_slope
    if slope == 0:
        return [np.maximum(inputs[0], _ZERO)]
    return [_positive(inputs[0]) + np.float32(slope) * _negative(inputs[0])]


def _relu_sign(node: Node) -> Sign:
    return Sign.ANY if node.typed(ReLU).negative_slope else Sign.NONNEGATIVE


def _relu_onnx(
    writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    slope = node.typed(ReLU).negative_slope
    if slope == 0:
        writer.add("Relu", inputs, outputs[0])
    else:
        writer.add("LeakyRelu", inputs, outputs[0], alpha=float(slope))


def prelu(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``max(x, 0) + slope * min(x, 0)`` with a slope per channel, or one for all."""
    x = inputs[0]
    slopes = np.asarray(node.weights[0], np.float32).reshape(-1)
    if not node.typed(PReLU).channel_shared:
        slopes = slopes.reshape((-1,) + (1,) * (x.ndim - 2))
    return [_positive(x) + slopes * _negative(x)]


def _prelu_onnx(
    writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    rank = len(writer.shape(node, node.inputs[0]))
    slopes = node.weights[0].reshape((-1,) + (1,) * (rank - 2))
    writer.add("PRelu", [*inputs, writer.constant(slopes, np.float32)], outputs[0])


def elu(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``max(x, 0) + alpha * (exp(min(x, 0)) - 1)``."""
    x, alpha = inputs[0], np.float32(node.typed(ELU).alpha)
    return [_positive(x) + alpha * (_rounded(np.exp, _negative(x)) - _ONE)]


def absolute(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``|x|``."""
    return [np.abs(inputs[0])]


def threshold(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return 1 where ``x > threshold``, else 0."""
    return [(inputs[0] > np.float32(node.typed(Threshold).threshold)).astype(np.float32)]


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
    return [inputs[0] * _sigmoid(inputs[0] * np.float32(node.typed(Swish).beta))]


def tanh(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``tanhf(x)`` of the C library."""
    return [libm.tanhf(inputs[0])]


def power(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``(shift + scale * x) ** power``, steps that change nothing left out."""
    a = node.typed(Power)
    exponent, scale, shift = np.float32(a.power), np.float32(a.scale), np.float32(a.shift)
    x = inputs[0]
    if exponent * scale == 0:
        value = _ONE if exponent == 0 else _raised(np.asarray(shift), exponent)
        return [np.full_like(x, value)]
    return [_raised(_shifted(x, scale, shift), exponent)]


def exp(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``base`` to the power of ``shift + scale * x``, as a product of two powers."""
    a = node.typed(Exp)
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
    a = node.typed(Log)
    result = _rounded(np.log, _shifted(inputs[0], np.float32(a.scale), np.float32(a.shift)))
    if a.base == -1:
        return [result]
    return [result * (_ONE / _rounded(np.log, np.asarray(a.base, np.float32)))]


def raises(node: Node) -> bool:
    """Return whether a Power raises anything: then the C library has a part in it."""
    return node.typed(Power).power != 1


def _positive(x: Array) -> Array:
    return np.asarray(np.maximum(x, _ZERO))


def _negative(x: Array) -> Array:
    return np.asarray(np.minimum(x, _ZERO))


def _shifted(x: Array, scale: np.float32, shift: np.float32) -> Array:
    return x * scale + shift


def _raised(x: Array, exponent: np.float32) -> Array:
    if exponent == 1:
        return x
    return libm.powf(x, exponent)


def _sigmoid(x: Array) -> Array:
    # Caffe's constants are doubles, and so are all steps.
    return np.asarray((0.5 * libm.tanh(0.5 * x.astype(np.float64)) + 0.5).astype(np.float32))


def _rounded(function: Any, x: Array) -> Array:
    return np.asarray(function(x.astype(np.float64)).astype(np.float32))


def _unary(operator: str) -> Any:
    def write(
        writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
    ) -> None:
        writer.add(operator, inputs, outputs[0])

    return write


def _elu_onnx(
    writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    writer.add("Elu", inputs, outputs[0], alpha=float(node.typed(ELU).alpha))


def _power_onnx(
    writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    """Scale and shift, rounded as in Caffe; then the power, if there is one."""
    a = node.typed(Power)
    scaled = writer.add("Mul", [*inputs, writer.constant(a.scale, np.float32)])
    shift = writer.constant(a.shift, np.float32)
    if a.power == 1:
        writer.add("Add", [scaled, shift], outputs[0])
        return
    shifted = writer.add("Add", [scaled, shift])
    writer.add("Pow", [shifted, writer.constant(a.power, np.float32)], outputs[0])


def _swish_onnx(
    writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    beta = writer.constant(node.typed(Swish).beta, np.float32)
    gate = writer.add("Sigmoid", [writer.add("Mul", [*inputs, beta])])
    writer.add("Mul", [*inputs, gate], outputs[0])


LAYER_TYPES = (
    LayerType(
        "AbsVal",
        inputs=(1, 1),
        shape=same_shape,
        homogeneous=True,
        run=absolute,
        by_sample=True,
        onnx=_unary("Abs"),
    ),
    LayerType(
        "BNLL", inputs=(1, 1), shape=same_shape, run=bnll, exact=False, onnx=_unary("Softplus")
    ),
    LayerType(
        "ELU",
        attributes=_numbers(ELU, "elu_param", "alpha"),
        inputs=(1, 1),
        shape=same_shape,
        run=elu,
        exact=False,
        onnx=_elu_onnx,
    ),
    LayerType(
        "Exp",
        attributes=_numbers(Exp, "exp_param", "base", "scale", "shift"),
        inputs=(1, 1),
        shape=same_shape,
        run=exp,
        exact=False,
    ),
    LayerType(
        "Log",
        attributes=_numbers(Log, "log_param", "base", "scale", "shift"),
        inputs=(1, 1),
        shape=same_shape,
        run=log,
        exact=False,
    ),
    LayerType(
        "PReLU",
        attributes=_read_prelu,
        blobs=_prelu_blobs,
        inputs=(1, 1),
        shape=same_shape,
        check_inputs=_check_prelu,
        homogeneous=True,
        run=prelu,
        by_sample=True,
        onnx=_prelu_onnx,
    ),
    LayerType(
        "Power",
        attributes=_numbers(Power, "power_param", "power", "scale", "shift"),
        inputs=(1, 1),
        shape=same_shape,
        run=power,
        depends_on_libraries=raises,
        by_sample=True,
        onnx=_power_onnx,
    ),
    LayerType("RReLU", shape=same_shape),
    LayerType(
        "ReLU",
        attributes=_numbers(ReLU, "relu_param", "negative_slope"),
        inputs=(1, 1),
        shape=same_shape,
        sign=_relu_sign,
        homogeneous=True,
        run=relu,
        by_sample=True,
        selects_values=lambda node: node.typed(ReLU).negative_slope == 0,
        onnx=_relu_onnx,
    ),
    LayerType(
        "Sigmoid",
        inputs=(1, 1),
        shape=same_shape,
        sign=Sign.NONNEGATIVE,
        run=sigmoid,
        depends_on_libraries=True,
        by_sample=True,
        onnx=_unary("Sigmoid"),
    ),
    LayerType(
        "Swish",
        attributes=_numbers(Swish, "swish_param", "beta"),
        shape=same_shape,
        run=swish,
        depends_on_libraries=True,
        by_sample=True,
        onnx=_swish_onnx,
    ),
    LayerType(
        "TanH",
        inputs=(1, 1),
        shape=same_shape,
        run=tanh,
        depends_on_libraries=True,
        by_sample=True,
        onnx=_unary("Tanh"),
    ),
    LayerType(
        "Threshold",
        attributes=_numbers(Threshold, "threshold_param", "threshold"),
        inputs=(1, 1),
        shape=same_shape,
        run=threshold,
        by_sample=True,
        has_backward=False,
    ),
)
