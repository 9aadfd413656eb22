"""How many channels tensors must have, because weights that are known are for so many."""

from __future__ import annotations

from typing import Dict, Iterator, Mapping, Tuple

import attrs

from amct_caffe.model.layer_types.data import Database
from amct_caffe.model.layer_types.layout import Slice
from amct_core.graph import Graph, Node, Value
from amct_core.graph.attributes import BatchNorm, Scale
from amct_core.graph.input_shapes import channels_of_weights

Channels = Mapping[Value, int]


def with_data_channels(graph: Graph) -> Graph:
    """Return ``graph`` with the shapes of databases completed by :func:`channels_needed`."""
    if not any(isinstance(node.attributes, Database) for node in graph.nodes):
        return graph
    channels = channels_needed(graph)
    nodes = []
    for node in graph.nodes:
        a = node.attributes
        if isinstance(a, Database) and node.outputs and node.outputs[0] in channels:
            node = attrs.evolve(node, attributes=a.with_channels(channels[node.outputs[0]]))
        nodes.append(node)
    return graph.replace(nodes)


def channels_needed(graph: Graph) -> Channels:
    """Return the size of axis 1 of each tensor, as far as it is certain.

    Convolutions, BatchNorm and Scale tell how many channels they read; layers that keep the
    channels, and a Slice all of whose parts are known, tell it of what they read in turn.
    """
    needed: Dict[Value, int] = {}
    for node in reversed(graph.nodes):
        for value, count in _read_by(node, needed):
            needed[value] = count
    return needed


def _read_by(node: Node, needed: Channels) -> Iterator[Tuple[Value, int]]:
    a = node.attributes
    count = channels_of_weights(node)
    if count is not None:
        yield from ((value, count) for value in node.inputs)
    elif not node.inputs:
        return
    elif node.weights and _has_value_per_channel(node):
        yield node.inputs[0], node.weights[0].size
    elif isinstance(a, Slice):
        yield from _sliced(node, a, needed)
    elif node.type.keeps_channels:
        found = [needed[value] for value in node.outputs if value in needed]
        yield from ((node.inputs[0], channels) for channels in found[:1])


def _has_value_per_channel(node: Node) -> bool:
    a = node.attributes
    per_channel = isinstance(a, Scale) and (a.axis, a.num_axes) == (1, 1) and len(node.inputs) == 1
    return per_channel or isinstance(a, BatchNorm)


def _sliced(node: Node, a: Slice, needed: Channels) -> Iterator[Tuple[Value, int]]:
    parts = [needed.get(value) for value in node.outputs]
    known = [count for count in parts if count is not None]
    if not known:
        return
    if a.axis != 1:
        yield node.inputs[0], known[0]
    elif not a.points:
        yield node.inputs[0], known[0] * len(parts)
    elif parts[-1] is not None:
        yield node.inputs[0], a.points[-1] + parts[-1]
