"""Layers that combine inputs, or an input and a parameter, value by value as Caffe rounds.

Source: ``LayerSetUp`` and ``Forward_cpu`` of BVLC Caffe's eltwise_layer, scale_layer and
bias_layer.
"""

from __future__ import annotations

from typing import List, Sequence

import attrs
import numpy as np

from amct_caffe.model.expected_blob import ExpectedBlob, over_axes
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.layer_types.axes import Array, Shapes
from amct_caffe.model.layer_types.fitting import along, misfit, one_shape
from amct_caffe.model.parameters import Parameters
from amct_core.errors import ModelError
from amct_core.extensions import LayerType, OnnxWriter, Sign, same_shape
from amct_core.graph import Node
from amct_core.graph.attributes import Attributes, Eltwise, Scale
from amct_core.numerics.fused import multiply_add


@attrs.frozen
class Bias(Attributes):
    """Addition of a parameter (or second input) over ``num_axes`` axes from ``axis``."""

    axis: int
    num_axes: int


def _read_eltwise(layer: Layer) -> Eltwise:
    parameters = Parameters(layer, "eltwise_param")
    return Eltwise(parameters.enum("operation"), tuple(parameters.numbers("coeff")))


def _read_scale(layer: Layer) -> Scale:
    parameters = Parameters(layer, "scale_param")
    return Scale(
        axis=parameters.integer("axis"),
        num_axes=parameters.integer("num_axes"),
        bias_term=parameters.boolean("bias_term"),
    )


def _scale_blobs(layer: Layer) -> List[ExpectedBlob]:
    parameters = layer.parameters("scale_param")
    bias = bool(parameters.boolean("bias_term", False))
    if len(layer.bottoms) == 1:
        return [over_axes(parameters)] * (1 + bias)
    return [ExpectedBlob(None)] * bias


def _read_bias(layer: Layer) -> Bias:
    parameters = Parameters(layer, "bias_param")
    return Bias(parameters.integer("axis"), parameters.integer("num_axes"))


def _bias_blobs(layer: Layer) -> List[ExpectedBlob]:
    return [over_axes(layer.parameters("bias_param"))] if len(layer.bottoms) == 1 else []


def _check_eltwise(node: Node, inputs: Shapes) -> None:
    one_shape(node, inputs)
    coefficients = node.typed(Eltwise).coefficients
    if coefficients and len(coefficients) != len(inputs):
        raise ModelError(
            f"it has {len(coefficients)} coefficients for {len(inputs)} inputs; expected one each, "
            "or none.",
            layer=node.name,
            field="eltwise_param.coeff",
            remedy="Correct the coefficients.",
        )


def _check_scale(node: Node, inputs: Shapes) -> None:
    a = node.typed(Scale)
    along(node, inputs, a.axis, a.num_axes)
    _check_factors(node, inputs, 1 + a.bias_term)


def _check_bias(node: Node, inputs: Shapes) -> None:
    a = node.typed(Bias)
    along(node, inputs, a.axis, a.num_axes)
    _check_factors(node, inputs, 1)


def _check_factors(node: Node, inputs: Shapes, count: int) -> None:
    """Check how many factors there are; none are in a network that is read without weights."""
    given = len(inputs) - 1 + len(node.weights)
    if node.weights and given != count:
        raise misfit(node, inputs[0], f"is to be combined with {given} others; expected {count}")


def _eltwise_sign(node: Node) -> Sign:
    a = node.typed(Eltwise)
    if a.operation == "MAX":
        return Sign.LARGEST
    keeps = a.operation == "SUM" and all(factor >= 0 for factor in a.coefficients)
    return Sign.KEPT if keeps else Sign.ANY


def eltwise(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the sum (with coefficients), product or maximum, from the first input on."""
    a = node.typed(Eltwise)
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


def weighs(node: Node) -> bool:
    """Return whether an Eltwise multiplies: whether a BLAS rounds the products is its business."""
    a = node.typed(Eltwise)
    return a.operation == "SUM" and any(abs(factor) != 1 for factor in a.coefficients)


def _eltwise_onnx(
    writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    a = node.typed(Eltwise)
    if a.operation == "SUM" and a.coefficients:
        inputs = [
            name
            if coefficient == 1
            else writer.add("Mul", [name, writer.constant(coefficient, np.float32)])
            for name, coefficient in zip(inputs, a.coefficients)
        ]
    operator = {"SUM": "Add", "PROD": "Mul", "MAX": "Max"}[a.operation]
    result = inputs[0]
    for name in inputs[1:-1]:
        result = writer.add(operator, [result, name])
    writer.add(operator, [result, inputs[-1]], outputs[0])


def scale(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``x * gamma + beta`` along ``num_axes`` axes from ``axis``."""
    axis = node.typed(Scale).axis
    factors = [*inputs[1:], *node.weights]
    result = inputs[0] * _along(factors[0], inputs[0], axis)
    if len(factors) > 1:
        result = result + _along(factors[1], result, axis)
    return [result]


def _scale_onnx(
    writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    """The factors are a second input or a blob, and so is what is added: whichever is left."""
    factors = [_along_onnx(writer, node, index, name) for index, name in enumerate(inputs[1:], 1)]
    factors += [_constant_along(writer, node, blob) for blob in node.weights]
    if len(factors) == 1:
        writer.add("Mul", [inputs[0], factors[0]], outputs[0])
    else:
        scaled = writer.add("Mul", [inputs[0], factors[0]])
        writer.add("Add", [scaled, factors[1]], outputs[0])


def _bias_onnx(
    writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    added = [_along_onnx(writer, node, index, name) for index, name in enumerate(inputs[1:], 1)]
    added += [_constant_along(writer, node, blob) for blob in node.weights]
    writer.add("Add", [inputs[0], added[0]], outputs[0])


def _first_axis(node: Node, rank: int) -> int:
    a = node.attributes
    assert isinstance(a, (Scale, Bias))
    return a.axis if a.axis >= 0 else rank + a.axis


def _constant_along(writer: OnnxWriter, node: Node, blob: Array) -> str:
    """Return a blob, shaped to broadcast over the first input from the layer's axis on."""
    rank = len(writer.shape(node, node.inputs[0]))
    behind = rank - _first_axis(node, rank) - blob.ndim
    return writer.constant(blob.reshape(blob.shape + (1,) * max(behind, 0)), np.float32)


def _along_onnx(writer: OnnxWriter, node: Node, index: int, name: str) -> str:
    """Return an input, shaped to broadcast over the first one from the layer's axis on."""
    rank, shape = len(writer.shape(node, node.inputs[0])), writer.shape(node, node.inputs[index])
    axis = _first_axis(node, rank)
    behind = rank - axis - len(shape)
    if not shape or behind == 0:
        return name
    # Only what begins at the first axis has as many samples as the batch, whose size is open.
    leading = -1 if axis == 0 else shape[0]
    dims = writer.constant([leading, *shape[1:], *[1] * behind], np.int64)
    return writer.add("Reshape", [name, dims])


def bias(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``x + beta`` along ``num_axes`` axes from ``axis``."""
    beta = [*inputs[1:], *node.weights][0]
    return [inputs[0] + _along(beta, inputs[0], node.typed(Bias).axis)]


def _along(parameter: Array, x: Array, axis: int) -> Array:
    """Return ``parameter`` shaped to broadcast over ``x`` from ``axis`` on."""
    if parameter.ndim == 0:
        return parameter
    start = axis if axis >= 0 else x.ndim + axis
    return parameter.reshape(parameter.shape + (1,) * (x.ndim - start - parameter.ndim))


LAYER_TYPES = (
    LayerType(
        "Bias",
        attributes=_read_bias,
        blobs=_bias_blobs,
        shape=same_shape,
        check_inputs=_check_bias,
        run=bias,
        onnx=_bias_onnx,
    ),
    LayerType(
        "Eltwise",
        attributes=_read_eltwise,
        shape=same_shape,
        check_inputs=_check_eltwise,
        sign=_eltwise_sign,
        run=eltwise,
        depends_on_libraries=weighs,
        by_sample=True,
        selects_values=lambda node: node.typed(Eltwise).operation == "MAX",
        onnx=_eltwise_onnx,
    ),
    LayerType(
        "Scale",
        parameters="scale_param",
        attributes=_read_scale,
        blobs=_scale_blobs,
        shape=same_shape,
        check_inputs=_check_scale,
        run=scale,
        onnx=_scale_onnx,
    ),
)
