"""A network with one layer computed otherwise, and the part of it that this changes.

What stands before the layer, and branches beside it, give what they give in the unchanged network:
whoever has run that need not run them again.
"""

from __future__ import annotations

from typing import Dict, List, Mapping, Sequence, Set, Tuple

import attrs

from amct_core.errors import ModelError
from amct_core.graph import Graph, Node, Value
from amct_core.graph.deployed_layers import DeployedLayer
from amct_core.graph.names import UniqueNames


@attrs.frozen(eq=False)
class ChangedLayer:
    """One layer computed otherwise.

    Attributes:
        name: of the layer.
        whole: the network with the layer changed.  What nobody reads any more is still there.
        part: the layers whose results change and that the wanted values depend on.  Its blobs have
            other names.
        fed: the values of the unchanged network that :attr:`part` reads, by its input blobs.
        values: the wanted values that change, and what each is in :attr:`part`.
    """

    name: str
    whole: Graph
    part: Graph
    fed: Mapping[str, Value]
    values: Mapping[Value, Value]


def quantized_alone(graph: Graph, layer: DeployedLayer, wanted: Sequence[Value]) -> ChangedLayer:
    """Return the float network ``graph`` with one layer in integers, between Quant and DeQuant.

    Args:
        graph: has a layer of the same name.
        layer: of a deployable network.
        wanted: values of ``graph``.

    Raises:
        ModelError: ``graph`` has no such layer.
    """
    node, names = graph.node(layer.name), UniqueNames(graph)
    quantized, accumulator = (
        names.unique(layer.quantized.name),
        names.unique(layer.accumulator.name),
    )
    triple = (
        attrs.evolve(layer.quant, bottoms=node.bottoms[:1], tops=(quantized,)),
        attrs.evolve(layer.node, bottoms=(quantized,), tops=(accumulator,)),
        attrs.evolve(layer.dequant, bottoms=(accumulator,), tops=node.tops),
    )
    return _changed(graph, layer.name, node, triple, wanted)


def float_alone(
    graph: Graph, layer: DeployedLayer, node: Node, wanted: Sequence[Value]
) -> ChangedLayer:
    """Return the deployable network ``graph`` with one layer in float.

    Args:
        graph: the deployable network.
        layer: of ``graph``.
        node: computes it in float.
        wanted: values of ``graph``.

    Raises:
        ModelError: what the Quant reads has been overwritten where the DeQuant stands.
    """
    own = attrs.evolve(node, bottoms=layer.quant.bottoms, tops=layer.dequant.tops)
    found = _changed(graph, layer.name, layer.dequant, (own,), wanted)
    at = graph.nodes.index(layer.dequant)
    if found.whole.nodes[at].inputs != layer.quant.inputs:
        raise ModelError(
            f"another layer writes the blob '{layer.quant.bottoms[0]}' between its Quant and its "
            "DeQuant; expected that the blob is still there.",
            file=graph.file,
            layer=layer.name,
            remedy="Save the model again, or check it with 'amct lint'.",
        )
    return found


def _changed(
    graph: Graph, name: str, node: Node, replaced: Sequence[Node], wanted: Sequence[Value]
) -> ChangedLayer:
    """Return ``graph`` with ``replaced``, which writes the same blobs, in place of ``node``."""
    at = graph.nodes.index(node)
    whole = graph.replace([*graph.nodes[:at], *replaced, *graph.nodes[at + 1 :]])
    new = range(at, at + len(replaced))
    behind, changed = _behind(whole, new)
    values = tuple(value for value in wanted if value in changed)
    needed = _needed(behind, values)
    read = {value for each in needed for value in each.inputs} - changed
    fed = {_blob(value): value for value in sorted(read, key=_blob)}
    part = whole.replace(_renamed(each) for each in needed)
    return ChangedLayer(name, whole, part, fed, {value: Value(_blob(value)) for value in values})


def _behind(graph: Graph, new: Sequence[int]) -> Tuple[List[Node], Set[Value]]:
    """Return the layers that change, in network order, and what they give."""
    nodes: List[Node] = []
    changed: Set[Value] = set()
    for index, node in enumerate(graph.nodes):
        if index in new or not changed.isdisjoint(node.inputs):
            nodes.append(node)
            changed.update(node.outputs)
    return nodes, changed


def _needed(nodes: Sequence[Node], values: Sequence[Value]) -> List[Node]:
    """Return those of ``nodes`` that ``values`` depend on."""
    needed, found = set(values), []
    for node in reversed(nodes):
        if not needed.isdisjoint(node.outputs):
            found.append(node)
            needed.update(node.inputs)
    return found[::-1]


def _renamed(node: Node) -> Node:
    """Return ``node`` with a blob for each value: an in-place layer writes one of its own."""
    return attrs.evolve(
        node,
        bottoms=tuple(map(_blob, node.inputs)),
        tops=tuple(map(_blob, node.outputs)),
    )


def _blob(value: Value) -> str:
    return f"{value.name} ({value.version})"


def all_fed(changes: Sequence[ChangedLayer]) -> Dict[Value, int]:
    """Return the values that the changed parts read, each with how many parts read it."""
    found: Dict[Value, int] = {}
    for change in changes:
        for value in change.fed.values():
            found[value] = found.get(value, 0) + 1
    return found
