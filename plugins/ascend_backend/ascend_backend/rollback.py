"""Which quantized layers ATC turns back into float16 layers.

Source: CANN fusion engine, ``GetQuantProcessMode`` in bias_optimize_quant_rollback_base.cc (layers
with weights, by the channels of their input) and in pooling_quant_process_fusion_pass.cc.
"""

from __future__ import annotations

from typing import Collection, Iterator, List, Mapping, Optional

import attrs

from amct_core.extensions import RolledBack
from amct_core.graph import Graph, Node, Value
from amct_core.graph.attributes import (
    Convolution,
    DeQuant,
    Float16,
    InnerProduct,
    Pooling,
    Quant,
)
from amct_core.graph.deployed_layers import quantized_nodes
from amct_core.graph.shapes import Shape, known_shapes
from amct_core.numerics.pooling import window_areas
from ascend_backend.channels import channels

FEW_CHANNELS = 16
"""Layers with weights whose input has at most so many channels are rolled back."""


def rolled_back(graph: Graph, isa: Optional[str]) -> List[RolledBack]:
    """Return the layers of a deployable model that run in float16, in no order.

    Args:
        graph: a deployable model.
        isa: of a processor that rolls back, such as ``v200``.

    Raises:
        ModelError: the shapes of the network contradict each other.
    """
    return [*few_channels(graph), *pooling_windows(graph, isa)]


def few_channels(graph: Graph) -> Iterator[RolledBack]:
    """Yield the quantized layers with weights that are rolled back.

    Args:
        graph: a deployable model; weights may be missing, then shapes are inferred.

    Raises:
        ModelError: the shapes of the network contradict each other.
    """
    shapes: Optional[Mapping[Value, Shape]] = None
    for node in quantized_nodes(graph):
        if not isinstance(node.attributes, (Convolution, InnerProduct)):
            continue
        count = _filter_channels(node)
        if count is None:
            shapes = known_shapes(graph) if shapes is None else shapes
            count = channels(graph, node.inputs[0], shapes)
        if count is not None and count <= FEW_CHANNELS:
            yield RolledBack(node.name, f"its input has {count} channels")


def pooling_windows(graph: Graph, isa: Optional[str]) -> Iterator[RolledBack]:
    """Yield the quantized AVE Poolings that are rolled back.

    Args:
        graph: a deployable model; Poolings whose input size is not known are ignored.
        isa: of a processor that rolls back; None where that is not known.

    Raises:
        ModelError: the shapes of the network contradict each other.
    """
    poolings = [node for node in quantized_nodes(graph) if isinstance(node.attributes, Pooling)]
    shapes = known_shapes(graph) if poolings else {}
    for node in poolings:
        a, shape = node.attributes, shapes.get(node.inputs[0])
        assert isinstance(a, Pooling)
        if a.method != "AVE" or a.kernel is None or shape is None or len(shape) != 4:
            continue
        areas = window_areas(shape[2], shape[3], a.kernel, a.stride, a.pad, a.ceil_mode)
        if areas.shape[1] == 1:
            yield RolledBack(node.name, "its output has a width of 1")
        elif isa == "v200" and (areas != areas[0, 0]).any():
            yield RolledBack(
                node.name, f"its windows have areas from {areas.min()} to {areas.max()}"
            )


def taken_out(graph: Graph, layers: Collection[str]) -> Graph:
    """Return ``graph`` without the Quants and DeQuants of ``layers``, to ask what ATC does next.

    Their DeQuants become roundings to float16, and so do Quants that nothing else reads.  A layer
    with weights reads what a Quant that stays reads, as well; a Pooling reads the Quant, through an
    AntiQuant.  The integers stay as they are: such a graph is not for computing.

    Source: ``ChangeQuantNodeEdge`` in bias_optimize_quant_rollback_base.cc, ``AddAntiQuantNode`` in
    pooling_quant_process_fusion_pass.cc.
    """
    nodes: List[Node] = []
    for node in graph.nodes:
        readers = [use.node for value in node.outputs for use in graph.uses(value)]
        own = [reader for reader in readers if reader.name in layers]
        producer = graph.producer(node.inputs[0]) if node.inputs else None
        if isinstance(node.attributes, Quant) and own:
            if len(own) == len(readers):
                node = attrs.evolve(node, attributes=Float16())
            else:
                nodes.extend(_direct(r, node) for r in own if not isinstance(r.attributes, Pooling))
        elif isinstance(node.attributes, DeQuant) and producer and producer.name in layers:
            node = attrs.evolve(node, attributes=Float16())
        nodes.append(node)
    return graph.replace(nodes)


def _direct(layer: Node, quant: Node) -> Node:
    name = f"{layer.name}_float16"
    return Node(name, "Float16", quant.bottoms, (name,), Float16())


def _filter_channels(node: Node) -> Optional[int]:
    """Return the input channels of a convolution by the shape of its filter."""
    a, axes = node.attributes, node.type.weights
    if not isinstance(a, Convolution) or not node.weights or node.weights[0].ndim < 2:
        return None
    assert axes is not None and axes.input is not None
    count: int = node.weights[0].shape[axes.input]
    return count if axes.input == 0 else count * a.group
