"""Layers that keep values between two limits: ReLU6, Clip, HardSigmoid, HardSwish.

=============  =================================  ==================================================
type           computes                           as defined by
=============  =================================  ==================================================
ReLU6          ``min(max(x, 0), 6)``              MobileNet's Caffes; ATC's operator Relu6
Clip           ``max(min, min(x, max))``          BVLC Caffe, clip_layer.cpp
HardSigmoid    ``clip(alpha * x + beta, 0, 1)``   PaddlePaddle's and ONNX's operator; 0.2 and 0.5
                                                  where Caffe's layer has no parameters
HardSwish      ``x * clip(x + 3, 0, 6) / 6``      MobileNetV3 (A. Howard et al., 2019), section 5.2
=============  =================================  ==================================================

Limits alone are exact.  Implementations of HardSigmoid and HardSwish differ in the order of their
steps, and some compute in float64: those two agree with Caffe to within rounding.
"""

from __future__ import annotations

from typing import List, Sequence

import attrs
import numpy as np

from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.layer_types.axes import Array
from amct_caffe.model.layer_types.variants import declared, given
from amct_caffe.model.parameters import Parameters
from amct_core.extensions import LayerType, OnnxWriter, Sign, same_shape
from amct_core.graph import Node
from amct_core.graph.attributes import Attributes, ReLU6

_ZERO, _ONE, _THREE, _SIX = (np.float32(value) for value in (0, 1, 3, 6))
_HARD_SIGMOID = ("hard_sigmoid_param", "hardsigmoid_param")
_HARD_SWISH = ("hard_swish_param", "hardswish_param")


@attrs.frozen
class Clip(Attributes):
    """Values below ``low`` become ``low``, those above ``high`` become ``high``."""

    low: float
    high: float


@attrs.frozen
class HardSigmoid(Attributes):
    """``alpha * x + beta``, between 0 and 1."""

    alpha: float
    beta: float


def _read_clip(layer: Layer) -> Clip:
    parameters = Parameters(layer, "clip_param")
    return Clip(parameters.number("min"), parameters.number("max"))


def _is_clip(layer: Layer) -> bool:
    parameters = layer.parameters("clip_param")
    return declared("clip_param")(layer) and parameters.has("min") and parameters.has("max")


def _read_hard_sigmoid(layer: Layer) -> HardSigmoid:
    parameters = given(layer, *_HARD_SIGMOID)
    return HardSigmoid(parameters.number("alpha"), parameters.number("beta"))


def _is_relu6(layer: Layer) -> bool:
    # Some Caffes' ReLU6 has a slope below 0, which it takes from ReLU's parameters.
    sloped = layer.parameters("relu_param").number("negative_slope", 0.0) != 0
    return declared("relu6_param")(layer) and not sloped


def relu6(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``min(max(x, 0), 6)``; -0 and NaN stay what they are."""
    limit = np.float32(node.typed(ReLU6).limit)
    return [_at_most(np.where(inputs[0] < _ZERO, _ZERO, inputs[0]), limit)]


def clip(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``max(low, min(x, high))``; of NaN Caffe makes ``low``."""
    a = node.typed(Clip)
    low, below = np.float32(a.low), _at_most(inputs[0], np.float32(a.high))
    return [np.where(low < below, below, low)]


def _at_most(x: Array, limit: np.float32) -> Array:
    """Return ``std::min(x, limit)``, which is ``x`` where they are equal or ``x`` is NaN."""
    return np.where(limit < x, limit, x)


def hard_sigmoid(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``min(max(alpha * x + beta, 0), 1)``."""
    a = node.typed(HardSigmoid)
    line = inputs[0] * np.float32(a.alpha) + np.float32(a.beta)
    return [np.minimum(np.maximum(line, _ZERO), _ONE)]


def hard_swish(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``x * min(max(x + 3, 0), 6) / 6``."""
    x = inputs[0]
    return [x * np.minimum(np.maximum(x + _THREE, _ZERO), _SIX) / _SIX]


def _clip_sign(node: Node) -> Sign:
    return Sign.NONNEGATIVE if node.typed(Clip).low >= 0 else Sign.ANY


def _relu6_onnx(
    writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    limits = [writer.constant(limit, np.float32) for limit in (0, node.typed(ReLU6).limit)]
    writer.add("Clip", [*inputs, *limits], outputs[0])


def _clip_onnx(
    writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    a = node.typed(Clip)
    limits = [writer.constant(limit, np.float32) for limit in (a.low, a.high)]
    writer.add("Clip", [*inputs, *limits], outputs[0])


def _hard_sigmoid_onnx(
    writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    a = node.typed(HardSigmoid)
    writer.add("HardSigmoid", inputs, outputs[0], alpha=float(a.alpha), beta=float(a.beta))


def _hard_swish_onnx(
    writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    """ONNX has the operator from opset 14 on; it is ``x`` times this HardSigmoid."""
    gate = writer.add("HardSigmoid", inputs, alpha=1 / 6, beta=0.5)
    writer.add("Mul", [*inputs, gate], outputs[0])


LAYER_TYPES = (
    LayerType(
        "Clip",
        parameters="clip_param",
        holds_for=_is_clip,
        attributes=_read_clip,
        shape=same_shape,
        sign=_clip_sign,
        run=clip,
        by_sample=True,
        onnx=_clip_onnx,
    ),
    LayerType(
        "HardSigmoid",
        holds_for=declared(*_HARD_SIGMOID),
        attributes=_read_hard_sigmoid,
        shape=same_shape,
        sign=Sign.NONNEGATIVE,
        run=hard_sigmoid,
        exact=False,
        by_sample=True,
        onnx=_hard_sigmoid_onnx,
    ),
    LayerType(
        "HardSwish",
        holds_for=declared(*_HARD_SWISH),
        shape=same_shape,
        run=hard_swish,
        exact=False,
        by_sample=True,
        onnx=_hard_swish_onnx,
    ),
    LayerType(
        "ReLU6",
        holds_for=_is_relu6,
        attributes=lambda layer: ReLU6(),
        shape=same_shape,
        sign=Sign.NONNEGATIVE,
        run=relu6,
        by_sample=True,
        onnx=_relu6_onnx,
    ),
)
