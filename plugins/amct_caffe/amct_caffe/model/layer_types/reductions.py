"""Layers that make few values of many.

Source: ``LayerSetUp``, ``Reshape`` and ``Forward_cpu`` of BVLC Caffe's reduction_layer,
argmax_layer and accuracy_layer.
"""

from __future__ import annotations

from typing import List, Optional, Sequence

import attrs
import numpy as np

from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.layer_types.axes import Array, Outputs, Shapes, canonical_axis, count
from amct_caffe.model.parameters import Parameters
from amct_core.errors import ModelError
from amct_core.extensions import LayerType, Role
from amct_core.graph import Node
from amct_core.graph.attributes import Attributes


@attrs.frozen
class Accuracy(Attributes):
    """Share of labels among the ``top_k`` largest scores along ``axis``.

    Samples of ``ignore_label`` do not count; None: all do.
    """

    top_k: int
    axis: int
    ignore_label: Optional[int] = None


@attrs.frozen
class ArgMax(Attributes):
    """Where the ``top_k`` largest values are, largest first, and of equal ones the last.

    Along ``axis``; None: over each image as a whole.  With ``out_max_val`` the values themselves:
    instead of the indices along an axis, after them over a whole image.
    """

    out_max_val: bool
    top_k: int
    axis: Optional[int]


@attrs.frozen
class Reduction(Attributes):
    """``coefficient`` times the ``operation`` over all axes from ``axis`` on.

    ``operation`` is ``SUM``, ``ASUM`` (of magnitudes), ``SUMSQ`` (of squares) or ``MEAN``.
    """

    operation: str
    axis: int
    coefficient: float


def _read_accuracy(layer: Layer) -> Accuracy:
    parameters = Parameters(layer, "accuracy_param")
    # Without an ignore_label every sample counts, so "not said" is a value of its own.
    ignored = parameters.message.integer("ignore_label")
    return Accuracy(parameters.integer("top_k"), parameters.integer("axis"), ignored)


def _read_arg_max(layer: Layer) -> ArgMax:
    parameters = Parameters(layer, "argmax_param")
    return ArgMax(
        out_max_val=parameters.boolean("out_max_val"),
        top_k=parameters.integer("top_k"),
        # Without an axis Caffe looks at whole images, so "not said" is a value of its own.
        axis=parameters.message.integer("axis"),
    )


def _read_reduction(layer: Layer) -> Reduction:
    parameters = Parameters(layer, "reduction_param")
    return Reduction(
        parameters.enum("operation"), parameters.integer("axis"), parameters.number("coeff")
    )


def _accuracy_shape(node: Node, inputs: Shapes) -> Outputs:
    """Return a scalar; a second output has one value per class."""
    classes = inputs[0][canonical_axis(node, node.typed(Accuracy).axis, inputs[0])]
    return [(), (classes,)][: len(node.tops)]


def _arg_max_shape(node: Node, inputs: Shapes) -> Outputs:
    """Return ``top_k`` along the axis; over whole images, indices and values as rows."""
    a, shape = node.typed(ArgMax), inputs[0]
    if a.axis is not None:
        axis = canonical_axis(node, a.axis, shape)
        return [(*shape[:axis], a.top_k, *shape[axis + 1 :])]
    ones = (1,) * (len(shape) - 3)
    return [(shape[0], 2 if a.out_max_val else 1, a.top_k, *ones)]


def _check_arg_max(node: Node, inputs: Shapes) -> None:
    a, shape = node.typed(ArgMax), inputs[0]
    size = count(shape[1:]) if a.axis is None else shape[canonical_axis(node, a.axis, shape)]
    if not 1 <= a.top_k <= size:
        raise ModelError(
            f"it is {a.top_k}; expected 1 to {size}, the values that it chooses from.",
            layer=node.name,
            field="argmax_param.top_k",
            remedy="Correct it.",
        )


def _reduction_shape(node: Node, inputs: Shapes) -> Outputs:
    """Return the axes before the reduced ones."""
    return [inputs[0][: canonical_axis(node, node.typed(Reduction).axis, inputs[0])]]


def reduction(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the sum (of values, magnitudes or squares) or mean over all axes from ``axis`` on."""
    a = node.typed(Reduction)
    x = inputs[0]
    outer = x.shape[: a.axis if a.axis >= 0 else x.ndim + a.axis]
    rows = x.reshape(*outer, -1).astype(np.float64)
    if a.operation == "ASUM":
        rows = np.abs(rows)
    elif a.operation == "SUMSQ":
        rows = np.square(rows)
    coefficient = np.float32(a.coefficient)
    if a.operation == "MEAN":
        coefficient = coefficient / np.float32(rows.shape[-1])
    return [np.asarray(rows.sum(axis=-1).astype(np.float32) * coefficient)]


def arg_max(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return where the largest values are, or with them, as float32; of equal ones the last."""
    a = node.typed(ArgMax)
    x = inputs[0]
    if a.axis is not None:
        indices = _largest(x, a.axis, a.top_k)
        found = np.take_along_axis(x, indices, a.axis) if a.out_max_val else indices
        return [found.astype(np.float32)]
    rows = x.reshape(x.shape[0], -1)
    indices = _largest(rows, 1, a.top_k)
    parts = [indices.astype(np.float32)]
    if a.out_max_val:
        parts.append(np.take_along_axis(rows, indices, 1))
    return [np.stack(parts, axis=1).reshape(len(x), len(parts), a.top_k, *(1,) * (x.ndim - 3))]


def _largest(x: Array, axis: int, top_k: int) -> Array:
    """Return the indices of the ``top_k`` largest values, largest first."""
    # Caffe sorts (value, index) downwards: of equal values the one with the larger index comes
    # first, which is a stable upward sort read backwards.
    order = np.flip(np.argsort(x, axis=axis, kind="stable"), axis=axis)
    return np.take(order, np.arange(top_k), axis=axis)


LAYER_TYPES = (
    LayerType("Accuracy", attributes=_read_accuracy, role=Role.SCORE, shape=_accuracy_shape),
    # Of other Caffes: SSD, YOLO, segmentation, several labels.
    LayerType("DetectionEvaluate", role=Role.SCORE),
    LayerType("EvalDetection", role=Role.SCORE),
    LayerType("MultiLabelAccuracy", role=Role.SCORE),
    LayerType("SegAccuracy", role=Role.SCORE),
    LayerType(
        "ArgMax",
        attributes=_read_arg_max,
        inputs=(1, 1),
        shape=_arg_max_shape,
        check_inputs=_check_arg_max,
        run=arg_max,
        has_backward=False,
    ),
    # A BLAS orders the sums.
    LayerType(
        "Reduction",
        attributes=_read_reduction,
        inputs=(1, 1),
        shape=_reduction_shape,
        run=reduction,
        exact=False,
    ),
)
