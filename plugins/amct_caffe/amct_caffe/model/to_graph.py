"""Translates one phase of a Caffe network into a framework-neutral graph."""

from __future__ import annotations

from typing import Any, Sequence, Set, Tuple

from numpy.typing import NDArray

from amct_caffe.model.channels import with_data_channels
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.layer_type import attributes_of, layer_type
from amct_caffe.model.layer_types.convolution import over_axes
from amct_caffe.model.network import CaffeNetwork
from amct_core.errors import ModelError
from amct_core.extensions.layer_type import Count
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import Attributes, Convolution


def to_graph(network: CaffeNetwork, phase: str) -> Graph:
    """Return the layers that ``network`` has in ``phase`` (``TRAIN`` or ``TEST``).

    The state of the phase is that of the document.

    Raises:
        ModelError: two layers of the phase have one name and weights; they cannot be distinguished.
            A layer has more or fewer bottoms or tops than its type.
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
        known = layer_type(layer)
        _check_count(layer, "bottom", layer.bottoms, known.input_count(layer), network.model_file)
        _check_count(layer, "top", layer.tops, known.output_count(layer), network.model_file)
        weights = tuple(network.weights.get(name, ()))
        nodes.append(
            Node(
                name=name,
                type=known,
                bottoms=tuple(layer.bottoms),
                tops=tuple(layer.tops),
                attributes=_completed(attributes_of(layer), weights),
                weights=weights,
                source=layer,
            )
        )
    document = network.document
    graph = Graph(document.name, nodes, network.model_file, document.fields)
    return with_data_channels(graph)


def _check_count(layer: Layer, field: str, blobs: Sequence[str], count: Count, file: Any) -> None:
    """Check that a layer has as many bottoms, or tops, as whoever works with it may rely on."""
    least, most = count
    if len(blobs) < least or (most is not None and len(blobs) > most):
        expected = str(least) if most == least else f"at least {least}"
        expected += "" if most in (None, least) else f" and at most {most}"
        raise ModelError(
            f"it has {len(blobs)} {field}s; expected {expected} for a layer of type {layer.type}.",
            file=file,
            layer=layer.name,
            field=field,
            remedy=f"Name its {field}s.",
        )


def _completed(attributes: Attributes, weights: Tuple[NDArray[Any], ...]) -> Attributes:
    """Return the attributes of a convolution over as many axes as its weights have."""
    if isinstance(attributes, Convolution) and weights and weights[0].ndim > 2:
        return over_axes(attributes, weights[0].ndim - 2) or attributes
    return attributes
