"""Translates one phase of a Caffe network into a framework-neutral graph."""

from __future__ import annotations

from typing import Any, Optional, Set, Tuple

from numpy.typing import NDArray

from amct_caffe.attributes import attributes_of
from amct_caffe.network import CaffeNetwork
from amct_core.errors import ModelError
from amct_core.graph import Graph, Node


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
    return Graph(network.document.name, nodes, network.model_file)


def _spatial_axes(weights: Tuple[NDArray[Any], ...]) -> Optional[int]:
    """Return over how many axes a convolution with these weights works."""
    return weights[0].ndim - 2 if weights and weights[0].ndim > 2 else None
