"""Translates one phase of a Caffe network into a framework-neutral graph."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Set, Tuple

import attrs
from numpy.typing import NDArray

from amct_caffe.model.layer_type import attributes_of, layer_type
from amct_caffe.model.layer_types.convolution import over_axes
from amct_caffe.model.layer_types.data import Database
from amct_caffe.model.network import CaffeNetwork
from amct_core.errors import ModelError
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import Attributes, Convolution


def to_graph(network: CaffeNetwork, phase: str) -> Graph:
    """Return the layers that ``network`` has in ``phase`` (``TRAIN`` or ``TEST``).

    The state of the phase is that of the document.

    Raises:
        ModelError: two layers of the phase have one name and weights; they cannot be distinguished.
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
                type=layer_type(layer),
                bottoms=tuple(layer.bottoms),
                tops=tuple(layer.tops),
                attributes=_completed(attributes_of(layer), weights),
                weights=weights,
                source=layer,
            )
        )
    document = network.document
    return Graph(document.name, _with_data_channels(nodes), network.model_file, document.fields)


def _completed(attributes: Attributes, weights: Tuple[NDArray[Any], ...]) -> Attributes:
    """Return the attributes of a convolution over as many axes as its weights have."""
    if isinstance(attributes, Convolution) and weights and weights[0].ndim > 2:
        return over_axes(attributes, weights[0].ndim - 2) or attributes
    return attributes


def _with_data_channels(nodes: Sequence[Node]) -> List[Node]:
    """Complete the shapes of databases by the weights of the convolutions that read them."""
    channels: Dict[str, int] = {}
    for node in nodes:
        axes = node.type.weights
        if isinstance(node.attributes, Convolution) and node.weights and axes and axes.input == 1:
            count = node.weights[0].shape[1] * node.attributes.group
            channels.setdefault(node.bottoms[0], count)
    return [
        attrs.evolve(node, attributes=node.attributes.with_channels(channels[node.tops[0]]))
        if isinstance(node.attributes, Database) and node.tops and node.tops[0] in channels
        else node
        for node in nodes
    ]
