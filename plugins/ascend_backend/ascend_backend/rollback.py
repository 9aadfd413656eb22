"""Which quantized layers ATC turns back into float16 layers.

Source: CANN fusion engine, ``GetQuantProcessMode`` in bias_optimize_quant_rollback_base.cc (layers
with weights, by the channels of their input) and in pooling_quant_process_fusion_pass.cc.
"""

from __future__ import annotations

from typing import Iterator, List, Mapping, Optional

from amct_core.extensions import RolledBack
from amct_core.graph import Graph, Node, Value
from amct_core.graph.attributes import Convolution, InnerProduct, Input, Pooling
from amct_core.graph.deployed_layers import quantized_nodes
from amct_core.graph.shapes import Shape, known_shapes
from amct_core.numerics.pooling import window_areas

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
        channels = _filter_channels(node)
        if channels is None:
            shapes = known_shapes(graph) if shapes is None else shapes
            channels = _input_channels(graph, node, shapes)
        if channels is not None and channels <= FEW_CHANNELS:
            yield RolledBack(node.name, f"its input has {channels} channels")


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


def _filter_channels(node: Node) -> Optional[int]:
    """Return the input channels of a convolution by the shape of its filter."""
    a, axes = node.attributes, node.type.weights
    if not isinstance(a, Convolution) or not node.weights or node.weights[0].ndim < 2:
        return None
    assert axes is not None and axes.input is not None
    channels: int = node.weights[0].shape[axes.input]
    return channels if axes.input == 0 else channels * a.group


def _input_channels(graph: Graph, node: Node, shapes: Mapping[Value, Shape]) -> Optional[int]:
    """Return the size of axis 1 of what ``node`` reads; None where it does not follow."""
    value = node.inputs[0]
    while True:
        shape = shapes.get(value)
        if shape is not None and len(shape) > 1:
            return shape[1]
        producer = graph.producer(value)
        if producer is None:
            return None
        a = producer.attributes
        if isinstance(a, (Convolution, InnerProduct)):
            return a.num_output
        if isinstance(a, Input) or not producer.type.keeps_channels:
            return None
        value = producer.inputs[0]
