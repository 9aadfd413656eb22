"""Softmax, and losses.

Source: ``Reshape`` and ``Forward_cpu`` of BVLC Caffe's softmax_layer, and of its loss layers.
"""

from __future__ import annotations

from typing import List, Sequence

import attrs
import numpy as np

from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.layer_types.axes import Array, Outputs, Shapes, canonical_axis
from amct_caffe.model.parameters import Parameters
from amct_core.extensions import LayerType, OnnxWriter, Role, Sign, same_shape
from amct_core.graph import Node
from amct_core.graph.attributes import Attributes


@attrs.frozen
class Softmax(Attributes):
    """Softmax along ``axis``."""

    axis: int


def _read(layer: Layer) -> Softmax:
    return Softmax(Parameters(layer, "softmax_param").integer("axis"))


def _loss_shape(node: Node, inputs: Shapes) -> Outputs:
    """Return a scalar; a second output (the softmax of SoftmaxWithLoss) is like the input."""
    return [(), inputs[0]][: len(node.tops)]


def _check_softmax(node: Node, inputs: Shapes) -> None:
    canonical_axis(node, node.typed(Softmax).axis, inputs[0])


def softmax(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``exp(x - max) / sum(exp(x - max))`` along the axis."""
    x, axis = inputs[0], node.typed(Softmax).axis
    # Rounded once from double: NumPy's exp in float32 errs by up to 3 units in the last place.
    powers = np.exp((x - x.max(axis=axis, keepdims=True)).astype(np.float64)).astype(x.dtype)
    return [powers / np.expand_dims(_sum_in_fours(np.moveaxis(powers, axis, 0)), axis)]


def _sum_in_fours(values: Array) -> Array:
    """Return the sum along axis 0, taken four by four.

    Caffe's sum is a matrix-vector product (``SoftmaxLayer::Forward_cpu``).  OpenBLAS's, for the one
    row of a classifier, adds four products and then these to the result; over a thousand classes
    another order differs by more than 1e-6 (OpenBLAS kernel/x86_64/sgemv_n_4.c).
    """
    total = np.zeros(values.shape[1:], values.dtype)
    whole = len(values) - len(values) % 4
    for i in range(0, whole, 4):
        total = total + (((values[i] + values[i + 1]) + values[i + 2]) + values[i + 3])
    for i in range(whole, len(values)):
        total = total + values[i]
    return total


def _onnx(writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    writer.add("Softmax", inputs, outputs[0], axis=node.typed(Softmax).axis)


_LOSSES = {
    **dict.fromkeys(("ContrastiveLoss", "EuclideanLoss"), ()),
    **dict.fromkeys(("HingeLoss", "MultinomialLogisticLoss", "SigmoidCrossEntropyLoss"), (1,)),
    "InfogainLoss": (1, 2),
}
"""Losses, and the bottoms for which their ``Backward_cpu`` has no gradient."""

_LOSSES_OF_FORKS = ("LiftedStructSimilaritySoftmax", "WarpCTC", "Yolov3")
"""Classes of other Caffes that are ``LossLayer``, and are not called so."""

LAYER_TYPES = (
    *(
        LayerType(name, role=Role.LOSS, shape=_loss_shape, without_gradient=places)
        for name, places in _LOSSES.items()
    ),
    *(LayerType(name, role=Role.LOSS) for name in _LOSSES_OF_FORKS),
    # Within 1e-6 of Caffe's, whose sum a BLAS orders.
    LayerType(
        "Softmax",
        parameters="softmax_param",
        attributes=_read,
        inputs=(1, 1),
        shape=same_shape,
        check_inputs=_check_softmax,
        sign=Sign.NONNEGATIVE,
        run=softmax,
        exact=False,
        onnx=_onnx,
    ),
    LayerType(
        "SoftmaxWithLoss",
        parameters="softmax_param",
        attributes=_read,
        role=Role.LOSS,
        deployed_as="Softmax",
        shape=_loss_shape,
        without_gradient=(1,),
    ),
)
