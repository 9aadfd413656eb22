"""InnerProduct and Embed.

Sources: ``LayerSetUp`` and ``Reshape`` of BVLC Caffe's inner_product_layer and embed_layer; AMCT's
documentation for what is quantizable.  Float results depend on the order in which a BLAS adds;
integers do not.
"""

from __future__ import annotations

from typing import List, Optional, Sequence

import numpy as np

from amct_caffe.model.expected_blob import ExpectedBlob, bias_blob
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.layer_types.axes import Array, Outputs, Shapes, canonical_axis
from amct_caffe.model.layer_types.integer_onnx import add_bias, as_uint8, zero
from amct_caffe.model.parameters import Parameters
from amct_core.errors import ModelError
from amct_core.extensions import LayerType, OnnxWriter, PartInput, Quantization, WeightAxes
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import InnerProduct
from amct_core.numerics import products


def _read(layer: Layer) -> InnerProduct:
    parameters = Parameters(layer, "inner_product_param")
    return InnerProduct(
        num_output=parameters.integer("num_output"),
        bias_term=parameters.boolean("bias_term"),
        axis=parameters.integer("axis"),
        transpose=parameters.boolean("transpose"),
    )


def _blobs(layer: Layer) -> List[ExpectedBlob]:
    parameters = layer.parameters("inner_product_param")
    outputs = parameters.integer("num_output")
    transposed = parameters.boolean("transpose", False)
    weights = ExpectedBlob((None, outputs) if transposed else (outputs, None))
    return [weights, *bias_blob(parameters, outputs)]


def _embed_blobs(layer: Layer) -> List[ExpectedBlob]:
    parameters = layer.parameters("embed_param")
    outputs = parameters.integer("num_output")
    weights = ExpectedBlob((parameters.integer("input_dim"), outputs))
    return [weights, *bias_blob(parameters, outputs)]


def _shape(node: Node, inputs: Shapes) -> Outputs:
    """Return the axes before ``axis``, and ``num_output``."""
    a = node.typed(InnerProduct)
    return [(*inputs[0][: canonical_axis(node, a.axis, inputs[0])], a.num_output)]


def check_inner_product(node: Node, graph: Graph) -> Optional[str]:
    """Return why an InnerProduct does not qualify: transpose must be false and axis 1."""
    a = node.typed(InnerProduct)
    if a.transpose:
        return "transpose is true; expected false."
    if a.axis != 1:
        return f"axis is {a.axis}; expected 1."
    return None


def inner_product(node: Node, x: Array) -> Array:
    """Return ``x`` flattened from its axis on, times the weights (num_output, K), plus the bias."""
    a = node.typed(InnerProduct)
    weights = node.weights[0].T if a.transpose else node.weights[0]
    axis = a.axis if a.axis >= 0 else x.ndim + a.axis
    outer = x.shape[:axis]
    rows = x.reshape(int(np.prod(outer)), -1)
    result = products.matmul(np.ascontiguousarray(weights), rows.T).T
    if len(node.weights) > 1:
        result = products.add_bias(result, node.weights[1])
    return result.reshape(*outer, weights.shape[0])


def _onnx(writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    a = node.typed(InnerProduct)
    if a.axis != 1:
        raise ModelError(
            f"an InnerProduct along axis {a.axis} has no form in ONNX here.",
            layer=node.name,
            remedy="Simulate the model instead.",
        )
    flat = writer.add("Flatten", inputs, axis=1)
    constants = [writer.constant(blob, np.float32) for blob in node.weights]
    writer.add("Gemm", [flat, *constants], outputs[0], transB=0 if a.transpose else 1)


def _onnx_accumulate(writer: OnnxWriter, node: Node, q: str, offset: int) -> str:
    flat = writer.add("Flatten", [q], axis=1)
    weights, weight_zero = as_uint8(writer, node.weights[0].T)
    inputs = [flat, weights, zero(writer, offset), weight_zero]
    return add_bias(writer, node, writer.add("MatMulInteger", inputs))


LAYER_TYPES = (
    LayerType("Embed", parameters="embed_param", blobs=_embed_blobs, without_gradient=(0,)),
    LayerType(
        "InnerProduct",
        parameters="inner_product_param",
        attributes=_read,
        blobs=_blobs,
        inputs=(1, 1),
        shape=_shape,
        weights=WeightAxes(output=0, input=1, part_input=PartInput.ROWS),
        quantization=Quantization(check_inner_product),
        run=lambda node, inputs: [inner_product(node, x) for x in inputs],
        exact=False,
        accumulate=inner_product,
        onnx=_onnx,
        onnx_accumulate=_onnx_accumulate,
    ),
)
