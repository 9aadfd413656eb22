"""Translates one phase of a Caffe network into a framework-neutral graph."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

import attrs
from numpy.typing import NDArray

from amct_caffe.model.attributes import attributes_of
from amct_caffe.model.data_shapes import with_channels
from amct_caffe.model.network import CaffeNetwork
from amct_core.errors import ModelError
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import Convolution, Data


def to_graph(network: CaffeNetwork, phase: str) -> Graph:
    """Return the layers that ``network`` has in ``phase`` (``TRAIN`` or ``TEST``).

    Raises:
        ModelError: two layers of the phase have one name and weights, so they cannot be told apart.
    """
    nodes = []
    seen: Set[str] = set()
    for layer in network.document.layers_in(phase):
        name = layer.name
        if name in seen and name in network.weights:
            raise ModelError(
                f"two layers of phase {phase} have this name, and it has weights.",
                file=network.model_file,
                layer=name,
                field="name",
                remedy="Give each layer a name of its own.",
            )
        seen.add(name)
        weights = tuple(network.weights.get(name, ()))
        nodes.append(
            Node(
                name=name,
                op=layer.type,
                bottoms=tuple(layer.bottoms),
                tops=tuple(layer.tops),
                attributes=attributes_of(layer, _spatial_axes(weights)),
                weights=weights,
                source=layer,
            )
        )
    return Graph(network.document.name, _with_data_channels(nodes), network.model_file)


def _with_data_channels(nodes: Sequence[Node]) -> List[Node]:
    """Complete the shapes of databases by the weights of the convolutions that read them."""
    channels: Dict[str, int] = {}
    for node in nodes:
        if node.op == "Convolution" and node.weights and isinstance(node.attributes, Convolution):
            count = node.weights[0].shape[1] * node.attributes.group
            channels.setdefault(node.bottoms[0], count)
    return [
        attrs.evolve(node, attributes=Data(with_channels(node.source, channels[node.tops[0]])))
        if isinstance(node.attributes, Data) and node.tops and node.tops[0] in channels
        else node
        for node in nodes
    ]


def _spatial_axes(weights: Tuple[NDArray[Any], ...]) -> Optional[int]:
    """Return over how many axes a convolution with these weights works."""
    return weights[0].ndim - 2 if weights and weights[0].ndim > 2 else None
