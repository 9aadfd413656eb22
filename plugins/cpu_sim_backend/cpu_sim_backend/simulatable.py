"""Which layers of a deployable network can be simulated."""

from __future__ import annotations

from typing import FrozenSet, List, Optional

from amct_core.errors import ModelError
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import DeQuant, Input, Quant
from amct_core.graph.deployed_layers import quantized_nodes
from amct_core.graph.shapes import known_shapes
from amct_core.plugins import registries
from cpu_sim_backend.feeding import Fed

_BY_THEMSELVES = (Input, Quant, DeQuant, Fed)


def unknown_float_layers(graph: Graph) -> FrozenSet[Node]:
    """Return the float layers that cannot be simulated."""
    integer = quantized_nodes(graph)
    return frozenset(
        node
        for node in graph.nodes
        if node not in integer
        and not isinstance(node.attributes, _BY_THEMSELVES)
        and (node.type.run is None or _reason(node) is not None)
    )


def check_simulatable(graph: Graph) -> None:
    """Check that each layer can be simulated.

    Raises:
        ModelError: one cannot, has no weights, or cannot take its input's shape; the message names
            it.
    """
    known_shapes(graph)
    integer = quantized_nodes(graph)
    for node in graph.nodes:
        if not isinstance(node.attributes, _BY_THEMSELVES):
            _check(graph, node, node in integer)


def _check(graph: Graph, node: Node, integer: bool) -> None:
    if node.type.weights is not None and not node.weights:
        raise ModelError(
            "the weights file has no weights for it.",
            file=graph.file,
            layer=node.name,
            remedy="Save a model whose layers were all trained, or take the layer out.",
        )
    if (node.type.accumulate if integer else node.type.run) is None:
        problem = _unknown(node, integer)
    elif not integer and _reason(node) is not None:
        problem = str(_reason(node))
    else:
        return
    remedy = "A plugin adds it with the hook amct_layer_types."
    if not integer:
        remedy += " 'amct verify' takes what it gives from the framework, where that is installed."
    raise ModelError(problem, file=graph.file, layer=node.name, field="type", remedy=remedy)


def _unknown(node: Node, integer: bool) -> str:
    known = _simulated(integer)
    if node.op in known:
        return (
            f"by its parameters or bottoms it is another Caffe's {node.op} than the one that can "
            "be simulated."
        )
    where = " in integers" if integer else ""
    return f"layer type '{node.op}' cannot be simulated{where}; known: {', '.join(known)}."


def _reason(node: Node) -> Optional[str]:
    """Return why this layer cannot be simulated, though others of its type can."""
    return None if node.type.cannot_run is None else node.type.cannot_run(node)


def _simulated(integer: bool) -> List[str]:
    """Return the layer types that can be simulated."""
    types = registries().layer_types
    return [each.name for each in types if (each.accumulate if integer else each.run) is not None]
