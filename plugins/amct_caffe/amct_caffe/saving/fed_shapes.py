"""Follows shapes through a network fed with arrays: where one does not fit, Caffe ends."""

from __future__ import annotations

import attrs

from amct_caffe.model.network import CaffeNetwork
from amct_caffe.model.to_graph import to_graph
from amct_caffe.passes.python_layers import is_python_layer
from amct_core.extensions import LayerType, same_shape
from amct_core.graph import Node
from amct_core.graph.shapes import known_shapes

_KEEP_THE_SHAPE = ("Quant", "DeQuant", "ActivationQAT", "WeightQAT")


def check_fed_shapes(network: CaffeNetwork) -> None:
    """Raise a ModelError if a layer cannot take what its inputs make of it.

    Args:
        network: with Input layers of the shapes that it is fed with.
    """
    graph = to_graph(network, "TEST")
    known_shapes(graph.replace(map(_as_known, graph.nodes)))


def _as_known(node: Node) -> Node:
    """Return ``node``; our own Python layers as ones that keep the shape."""
    if any(is_python_layer(node.source, kind) for kind in _KEEP_THE_SHAPE):
        return attrs.evolve(node, type=LayerType(node.op, shape=same_shape))
    return node
