"""Where a blob has two axes in Caffe and four in ATC.

At batch 1, and only there, the shape inference of ATC's FullyConnection gives an InnerProduct along
axis 1 the output (1, N, 1, 1), where Caffe has (1, N).  Layers behind it keep the two axes.

Source: FullyConnectionInfer in canndev ops/built-in/op_proto/matrix_calculation_ops.cc.
"""

from __future__ import annotations

from typing import FrozenSet, Mapping, Optional, Set

import attrs

from amct_caffe.model.formats.prototxt.layer import Layer
from amct_core.errors import AmctError
from amct_core.graph import Graph, Node, Value
from amct_core.graph.shapes import Shape, known_shapes
from ascend_backend.lint.graph import graph_of
from ascend_backend.lint.model import DeployModel

EXTRA_AXES = 2
"""How many more there are in ATC."""

_KEEP_AXES = frozenset(
    {
        *("AbsVal", "AntiQuant", "BNLL", "BatchNorm", "Bias", "Concat", "DeQuant", "Dropout"),
        *("ELU", "Eltwise", "Elu", "Exp", "LRN", "LeakyReLU", "Log", "Mish", "PReLU", "Power"),
        *("Quant", "RReLU", "ReLU", "ReLU6", "Scale", "Sigmoid", "Slice", "Softmax", "Split"),
        *("TanH", "Threshold", "Tile"),
    }
)


@attrs.frozen(eq=False)
class Axes:
    """How many axes the blobs of a network have.

    Attributes:
        graph: the network.
        shapes: as Caffe has them, where they are known.
        lengthened: blobs that have :data:`EXTRA_AXES` more in ATC, of size 1, at the end.
    """

    graph: Graph
    shapes: Mapping[Value, Shape]
    lengthened: FrozenSet[Value]

    def in_caffe(self, value: Value) -> Optional[int]:
        """Return how many axes a blob has in Caffe, None if that is not known."""
        return len(self.shapes[value]) if value in self.shapes else None

    def in_atc(self, value: Value) -> Optional[int]:
        """Return how many axes a blob has in ATC, None if that is not known."""
        count = self.in_caffe(value)
        return count if count is None or value not in self.lengthened else count + EXTRA_AXES


def axes_of(model: DeployModel) -> Optional[Axes]:
    """Return the axes of the model's blobs; None for a broken network, which other rules report."""
    graph = graph_of(model)
    if graph is None:
        return None
    try:
        shapes = known_shapes(graph)
    except AmctError:
        return None
    lengthened: Set[Value] = set()
    for node in graph.nodes:
        if _adds_axes(node, shapes) or _keeps_axes(node, lengthened):
            lengthened.update(node.outputs)
    return Axes(graph, shapes, frozenset(lengthened))


def _adds_axes(node: Node, shapes: Mapping[Value, Shape]) -> bool:
    if node.op != "InnerProduct":
        return False
    output = shapes.get(node.outputs[0]) if node.outputs else None
    return output is not None and len(output) == 2 and output[0] == 1


def _keeps_axes(node: Node, lengthened: Set[Value]) -> bool:
    if not node.inputs or node.inputs[0] not in lengthened:
        return False
    if node.op == "Flatten":
        # Counted from the front it makes two axes of all; from the end, only of the extra ones.
        axis = _layer(node).parameters("flatten_param").integer("axis", 1)
        return axis is not None and axis < 0
    return node.op in _KEEP_AXES


def _layer(node: Node) -> Layer:
    layer = node.source
    assert isinstance(layer, Layer)
    return layer
