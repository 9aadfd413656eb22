"""Shapes of layers that make few values of many.

Sources: ``Reshape`` of BVLC Caffe's layers of the same names; a loss is a scalar.
"""

from __future__ import annotations

from amct_core.graph.attributes import Accuracy, ArgMax, Reduction
from amct_core.graph.graph import Node
from amct_core.graph.shape_rules.rule import Outputs, Shapes, canonical_axis


def reduction(node: Node, inputs: Shapes) -> Outputs:
    """Return the axes before the reduced ones."""
    a = node.attributes if isinstance(node.attributes, Reduction) else Reduction()
    return [inputs[0][: canonical_axis(node, a.axis, inputs[0])]]


def arg_max(node: Node, inputs: Shapes) -> Outputs:
    """Return ``top_k`` along the axis; over whole images, indices and values as rows."""
    a = node.attributes if isinstance(node.attributes, ArgMax) else ArgMax()
    shape = inputs[0]
    if a.axis is not None:
        axis = canonical_axis(node, a.axis, shape)
        return [(*shape[:axis], a.top_k, *shape[axis + 1 :])]
    ones = (1,) * (len(shape) - 3)
    return [(shape[0], 2 if a.out_max_val else 1, a.top_k, *ones)]


def loss(node: Node, inputs: Shapes) -> Outputs:
    """Return a scalar; a second output (the softmax of SoftmaxWithLoss) is like the input."""
    return [(), inputs[0]][: len(node.tops)]


def accuracy(node: Node, inputs: Shapes) -> Outputs:
    """Return a scalar; a second output has one value per class."""
    a = node.attributes if isinstance(node.attributes, Accuracy) else Accuracy()
    classes = inputs[0][canonical_axis(node, a.axis, inputs[0])]
    return [(), (classes,)][: len(node.tops)]
