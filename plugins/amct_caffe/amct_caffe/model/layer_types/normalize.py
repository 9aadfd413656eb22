"""Normalize: SSD's and RefineDet's L2 normalisation, with a learned scale.

Source: weiliu89/caffe, branch ssd, normalize_layer.cpp; the manual of ATC, extended operators.
"""

from __future__ import annotations

from typing import List, Sequence

import attrs
import numpy as np

from amct_caffe.model.expected_blob import ExpectedBlob
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.layer_types.axes import Array, on_channels
from amct_caffe.model.layer_types.fitting import per_channel
from amct_caffe.model.layer_types.variants import declared
from amct_caffe.model.parameters import Parameters
from amct_core.errors import ModelError
from amct_core.extensions import LayerType, OnnxWriter, same_shape
from amct_core.graph import Node
from amct_core.graph.attributes import Attributes


@attrs.frozen
class Normalize(Attributes):
    """Division by the root of the sum of squares and ``eps``.

    ``across_spatial``: over the whole sample, else over the channels of each place.
    """

    across_spatial: bool
    eps: float


def _read(layer: Layer) -> Normalize:
    parameters = Parameters(layer, "norm_param")
    return Normalize(parameters.boolean("across_spatial"), parameters.number("eps"))


def _blobs(layer: Layer) -> List[ExpectedBlob]:
    shared = layer.parameters("norm_param").boolean("channel_shared", True)
    return [ExpectedBlob(() if shared else (None,))]


def normalize(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``x / sqrt(sum of squares + eps) * scale``; a BLAS orders the sums in Caffe."""
    x, a = inputs[0], node.typed(Normalize)
    axes = tuple(range(1, x.ndim)) if a.across_spatial else (1,)
    squares = np.square(x.astype(np.float64)).sum(axis=axes, keepdims=True)
    norm = np.sqrt(squares + a.eps).astype(np.float32)
    return [x / norm * _scale(node, x.ndim)]


def _scale(node: Node, ndim: int) -> Array:
    if not node.weights:
        raise ModelError(
            "the weights file has no scale for it.",
            layer=node.name,
            remedy="Give the weights of the network.",
        )
    return on_channels(np.asarray(node.weights[0], np.float32).reshape(-1), ndim)


def _onnx(writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """``eps`` is added before the root, which ReduceL2 does not do."""
    a, rank = node.typed(Normalize), len(writer.shape(node, node.inputs[0]))
    axes = list(range(1, rank)) if a.across_spatial else [1]
    places = writer.constant(axes, np.int64)
    squares = writer.add("Mul", [inputs[0], inputs[0]])
    total = writer.add("ReduceSum", [squares, places], keepdims=1)
    norm = writer.add("Sqrt", [writer.add("Add", [total, writer.constant(a.eps, np.float32)])])
    scale = writer.constant(_scale(node, rank), np.float32)
    writer.add("Mul", [writer.add("Div", [inputs[0], norm]), scale], outputs[0])


LAYER_TYPES = (
    LayerType(
        "Normalize",
        parameters="norm_param",
        holds_for=declared("norm_param"),
        attributes=_read,
        blobs=_blobs,
        shape=same_shape,
        check_inputs=per_channel,
        run=normalize,
        exact=False,
        onnx=_onnx,
    ),
)
