"""Layers that are not computed: what they give is fed into the rest of the network.

A layer that the simulation lacks can so be taken from the framework, and the quantized layers can
be given the integers that another side had.  In the graph such a layer reads nothing any more.
"""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, List, Mapping, Sequence, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import ModelError
from amct_core.graph import Graph, Node, Value
from amct_core.graph.attributes import Attributes, Quant
from amct_core.graph.deployed_layers import DeployedLayer

Array = NDArray[Any]


@attrs.frozen
class Fed(Attributes):
    """A layer whose results are given: ``keys`` are their names among the inputs, one per top."""

    keys: Tuple[str, ...]


def keys_of(layer: str, count: int) -> Tuple[str, ...]:
    """Return the names under which the ``count`` results of ``layer`` are given."""
    return tuple(f"top {index} of layer '{layer}'" for index in range(count))


def fed_inputs(arrays: Mapping[str, Sequence[Array]]) -> Dict[str, Array]:
    """Return the results of fed layers, given by layer, as further inputs of the network."""
    return {
        key: array
        for layer, tops in arrays.items()
        for key, array in zip(keys_of(layer, len(tops)), tops)
    }


@attrs.frozen(eq=False)
class FedLayer:
    """A layer whose results are given.

    Attributes:
        name, op: of the layer.
        inputs, outputs: what it reads and gives in the network that was read.
    """

    name: str
    op: str
    inputs: Tuple[Value, ...]
    outputs: Tuple[Value, ...]


def with_fed_layers(graph: Graph, nodes: FrozenSet[Node]) -> Tuple[Graph, Tuple[FedLayer, ...]]:
    """Return ``graph`` with ``nodes`` fed, and these layers.

    Raises:
        ModelError: two layers have the name of one of them, so that a name does not tell which.
    """
    names = [node.name for node in graph.nodes]
    replaced: List[Node] = []
    fed: List[FedLayer] = []
    for node in graph.nodes:
        if node not in nodes:
            replaced.append(node)
            continue
        if names.count(node.name) > 1:
            raise ModelError(
                f"layer type '{node.op}' cannot be simulated, and its results cannot be taken from "
                "the framework, because another layer has this name, too.",
                file=graph.file,
                layer=node.name,
                field="name",
                remedy="Give each layer a name of its own.",
            )
        fed.append(FedLayer(node.name, node.op, node.inputs, node.outputs))
        attributes = Fed(keys_of(node.name, len(node.tops)))
        replaced.append(attrs.evolve(node, bottoms=(), attributes=attributes, weights=()))
    return (graph.replace(replaced), tuple(fed)) if fed else (graph, ())


def with_given_integers(graph: Graph, layers: Sequence[DeployedLayer]) -> Graph:
    """Return ``graph`` with the int8 inputs of ``layers`` given: see :func:`given_integers`.

    Each Quant reads ``q - offset`` from a fed layer of its own; a scale of 1 makes it give back
    what it gets.
    """
    quants = {layer.quant for layer in layers}
    nodes: List[Node] = []
    for node in graph.nodes:
        if node in quants:
            blob = _given_blob(node)
            nodes.append(Node(blob, "Input", (), (blob,), Fed(keys_of(blob, 1))))
            quant = attrs.evolve(node.typed(Quant), scale=1.0)
            node = attrs.evolve(node, bottoms=(blob,), attributes=quant)
        nodes.append(node)
    return graph.replace(nodes)


def given_integers(layer: DeployedLayer, q: NDArray[np.int8]) -> Dict[str, Tuple[Array, ...]]:
    """Return what feeds ``q`` to the Quant of ``layer`` in :func:`with_given_integers`."""
    return {_given_blob(layer.quant): (q.astype(np.float32) - np.float32(layer.offset),)}


def _given_blob(quant: Node) -> str:
    return f"given to '{quant.name}'"
