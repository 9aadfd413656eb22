"""Float layers in standard operators."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

import numpy as np

from amct_core.errors import ModelError
from amct_core.extensions import LayerSimulator
from amct_core.folding import batch_norm_of
from amct_core.graph import Node
from amct_core.graph import attributes as a
from cpu_sim_backend.onnx_export.builder import GraphBuilder
from cpu_sim_backend.onnx_export.integers import pooling_pads

Write = Callable[[GraphBuilder, Node, List[str], str], None]


def float_layer(builder: GraphBuilder, node: Node, own: Optional[LayerSimulator] = None) -> None:
    """Write one float layer.

    Args:
        builder: what it is written into.
        node: the layer.
        own: what plugins provide for its type.

    Raises:
        ModelError: its type has no form here, and no plugin gives one.
    """
    if own is not None and own.onnx is not None:
        inputs, outputs = (list(map(builder.name, v)) for v in (node.inputs, node.outputs))
        own.onnx(builder, node, inputs, outputs)
        return
    write = _LAYERS.get(node.op)
    if write is None:
        raise ModelError(
            f"layer type '{node.op}' has no form in ONNX here; known: {', '.join(_LAYERS)}.",
            layer=node.name,
            remedy="Simulate the model instead, which knows more types; a plugin adds the form of "
            "one as 'onnx' in the hook amct_layer_simulators.",
        )
    inputs = [builder.name(value) for value in node.inputs]
    write(builder, node, inputs, builder.name(node.outputs[0]) if node.outputs else "")


def _relu(builder: GraphBuilder, node: Node, inputs: List[str], top: str) -> None:
    slope = node.attributes.negative_slope if isinstance(node.attributes, a.ReLU) else 0.0
    if slope == 0:
        builder.add("Relu", inputs, top)
    else:
        builder.add("LeakyRelu", inputs, top, alpha=float(slope))


def _prelu(builder: GraphBuilder, node: Node, inputs: List[str], top: str) -> None:
    rank = len(builder.shape(node, node.inputs[0]))
    slopes = node.weights[0].reshape((-1,) + (1,) * (rank - 2))
    builder.add("PRelu", [*inputs, builder.constant(slopes, np.float32)], top)


def _same(builder: GraphBuilder, node: Node, inputs: List[str], top: str) -> None:
    for value in node.outputs:
        builder.add("Identity", inputs[:1], builder.name(value))


def _unary(operator: str) -> Write:
    def write(builder: GraphBuilder, node: Node, inputs: List[str], top: str) -> None:
        builder.add(operator, inputs, top)

    return write


def _softmax(builder: GraphBuilder, node: Node, inputs: List[str], top: str) -> None:
    axis = node.attributes.axis if isinstance(node.attributes, a.Softmax) else 1
    builder.add("Softmax", inputs, top, axis=axis)


def _concat(builder: GraphBuilder, node: Node, inputs: List[str], top: str) -> None:
    axis = node.attributes.axis if isinstance(node.attributes, a.Concat) else 1
    builder.add("Concat", inputs, top, axis=axis)


def _slice(builder: GraphBuilder, node: Node, inputs: List[str], top: str) -> None:
    axis = node.attributes.axis if isinstance(node.attributes, a.Slice) else 1
    sizes = [builder.shape(node, value)[axis] for value in node.outputs]
    outputs = [builder.name(value) for value in node.outputs]
    builder.add_many("Split", [*inputs, builder.constant(sizes, np.int64)], outputs, axis=axis)


def _reshape(builder: GraphBuilder, node: Node, inputs: List[str], top: str) -> None:
    """Flatten and Reshape: any batch size, all other sizes as they are."""
    shape = builder.shape(node, node.outputs[0])
    batch = builder.shape(node, node.inputs[0])[0]
    if shape[0] != batch:
        raise ModelError(
            f"it turns a batch of {batch} into {shape[0]}, which depends on the batch size.",
            layer=node.name,
            remedy="Simulate the model instead.",
        )
    builder.add("Reshape", [*inputs, builder.constant([-1, *shape[1:]], np.int64)], top)


def _permute(builder: GraphBuilder, node: Node, inputs: List[str], top: str) -> None:
    assert isinstance(node.attributes, a.Permute)
    order = list(node.attributes.order)
    rank = len(builder.shape(node, node.inputs[0]))
    order += [axis for axis in range(rank) if axis not in order]
    builder.add("Transpose", inputs, top, perm=order)


def _eltwise(builder: GraphBuilder, node: Node, inputs: List[str], top: str) -> None:
    e = node.attributes if isinstance(node.attributes, a.Eltwise) else a.Eltwise()
    if e.operation == "SUM" and e.coefficients:
        inputs = [
            name
            if coefficient == 1
            else builder.add("Mul", [name, builder.constant(coefficient, np.float32)])
            for name, coefficient in zip(inputs, e.coefficients)
        ]
    operator = {"SUM": "Add", "PROD": "Mul", "MAX": "Max"}[e.operation]
    result = inputs[0]
    for name in inputs[1:-1]:
        result = builder.add(operator, [result, name])
    builder.add(operator, [result, inputs[-1]], top)


def _scale(builder: GraphBuilder, node: Node, inputs: List[str], top: str) -> None:
    if len(inputs) != 1:
        raise ModelError(
            "a Scale by a blob has no form in ONNX here.",
            layer=node.name,
            remedy="Simulate the model instead.",
        )
    s = node.attributes if isinstance(node.attributes, a.Scale) else a.Scale()
    rank = len(builder.shape(node, node.inputs[0]))
    axis = s.axis if s.axis >= 0 else rank + s.axis
    constants = [
        builder.constant(
            blob.reshape((1,) * axis + blob.shape + (1,) * (rank - axis - blob.ndim)), np.float32
        )
        for blob in node.weights
    ]
    if len(constants) == 1:
        builder.add("Mul", [*inputs, constants[0]], top)
    else:
        scaled = builder.add("Mul", [*inputs, constants[0]])
        builder.add("Add", [scaled, constants[1]], top)


def _batch_norm(builder: GraphBuilder, node: Node, inputs: List[str], top: str) -> None:
    """``(x - mean) / deviation``, in Caffe's order."""
    batch_norm = batch_norm_of(node)
    assert batch_norm is not None and isinstance(node.attributes, a.BatchNorm)
    mean, variance, factor = (np.asarray(blob, np.float32) for blob in node.weights)
    divisor = factor.reshape(-1)[0]
    common = np.float32(0) if divisor == 0 else np.float32(1) / divisor
    deviation = np.sqrt(variance * common + np.float32(node.attributes.eps))
    along = (1, -1) + (1,) * (len(builder.shape(node, node.inputs[0])) - 2)
    centered = builder.add(
        "Sub", [*inputs, builder.constant((mean * common).reshape(along), np.float32)]
    )
    builder.add("Div", [centered, builder.constant(deviation.reshape(along), np.float32)], top)


def _pooling(builder: GraphBuilder, node: Node, inputs: List[str], top: str) -> None:
    p = node.attributes
    assert isinstance(p, a.Pooling)
    if p.kernel is None or p.global_pooling:
        operator = "GlobalMaxPool" if p.method == "MAX" else "GlobalAveragePool"
        builder.add(operator, inputs, top)
        return
    pads = pooling_pads(builder, node, p)
    window: Dict[str, Any] = {"kernel_shape": list(p.kernel), "strides": list(p.stride)}
    if p.method == "MAX":
        builder.add("MaxPool", inputs, top, pads=pads, **window)
        return
    if pads != [*p.pad, *p.pad]:
        raise ModelError(
            "an AVE Pooling in float whose last window is cut off has no form in ONNX.",
            layer=node.name,
            remedy="Quantize the layer, or simulate the model instead.",
        )
    builder.add("AveragePool", inputs, top, pads=pads, count_include_pad=1, **window)


def _convolution(builder: GraphBuilder, node: Node, inputs: List[str], top: str) -> None:
    c = node.attributes
    assert isinstance(c, a.Convolution)
    constants = [builder.constant(blob, np.float32) for blob in node.weights]
    builder.add(
        "Conv" if node.op == "Convolution" else "ConvTranspose",
        [*inputs, *constants],
        top,
        kernel_shape=list(c.kernel),
        strides=list(c.stride),
        pads=[*c.pad, *c.pad],
        dilations=list(c.dilation),
        group=c.group,
    )


def _inner_product(builder: GraphBuilder, node: Node, inputs: List[str], top: str) -> None:
    p = node.attributes
    assert isinstance(p, a.InnerProduct)
    if p.axis != 1:
        raise ModelError(
            f"an InnerProduct along axis {p.axis} has no form in ONNX here.",
            layer=node.name,
            remedy="Simulate the model instead.",
        )
    flat = builder.add("Flatten", inputs, axis=1)
    constants = [builder.constant(blob, np.float32) for blob in node.weights]
    builder.add("Gemm", [flat, *constants], top, transB=0 if p.transpose else 1)


def _lrn(builder: GraphBuilder, node: Node, inputs: List[str], top: str) -> None:
    n = node.attributes
    assert isinstance(n, a.LRN)
    if n.region != "ACROSS_CHANNELS":
        raise ModelError(
            "LRN within a channel has no form in ONNX.",
            layer=node.name,
            remedy="Simulate the model instead.",
        )
    factors = {"alpha": float(n.alpha), "beta": float(n.beta), "bias": float(n.k)}
    builder.add("LRN", inputs, top, size=n.local_size, **factors)


def _nothing(builder: GraphBuilder, node: Node, inputs: List[str], top: str) -> None:
    """Silence."""


_LAYERS: Dict[str, Write] = {
    "AbsVal": _unary("Abs"),
    "BatchNorm": _batch_norm,
    "Concat": _concat,
    "Convolution": _convolution,
    "Deconvolution": _convolution,
    "Dropout": _same,
    "Eltwise": _eltwise,
    "Flatten": _reshape,
    "InnerProduct": _inner_product,
    "LRN": _lrn,
    "Permute": _permute,
    "Pooling": _pooling,
    "PReLU": _prelu,
    "ReLU": _relu,
    "Reshape": _reshape,
    "Scale": _scale,
    "Sigmoid": _unary("Sigmoid"),
    "Silence": _nothing,
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _same,
    "TanH": _unary("Tanh"),
}
