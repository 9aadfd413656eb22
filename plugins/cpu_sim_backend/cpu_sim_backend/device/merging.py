"""Merges DeQuants with the Quants behind them, and sets what the other DeQuants give.

Merged: ``deq_scale`` is multiplied by the scale of the Quants, whose own becomes 1; they still add
their offsets and round.  What lies between (ReLU, Concat) computes as before, in other units; the
limit of a ReLU6 is multiplied, too.

Requantized: the DeQuant makes the integers, once, with one scale and one offset.  It gives them as
``q - offset``, so that a ReLU between is right as it is: it stands before the offset, and what it
sets to 0 is what has come out below 0.  A Quant then only adds the offset again, that of the last
Quant, even where its reader takes off its own.  A ReLU6 that is not the first ReLU counts as one
without a limit, which is inferred: the operation has a flag for ReLU alone.

Source: as for :mod:`ascend_backend.merging`, which says what is merged.
"""

from __future__ import annotations

import math
from typing import Dict, Sequence, Tuple

import attrs

from amct_core.errors import ModelError
from amct_core.extensions import Merged
from amct_core.extensions.processor_family import FLOAT16, INTEGERS, REQUANTIZED
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import DeQuant, Float16, Quant, ReLU6


def merge(graph: Graph, merged: Sequence[Merged], how: str) -> Graph:
    """Return ``graph`` with DeQuants and Quants merged.

    Args:
        graph: a deployable model.
        merged: which ones.
        how: :data:`~amct_core.extensions.processor_family.MERGED` or ``REQUANTIZED``.

    Raises:
        ModelError: something that is to be merged is no DeQuant or Quant of the graph.
    """
    changed: Dict[str, Node] = {}
    for each in merged:
        requantized = how == REQUANTIZED and not each.keeps_relu
        gives = INTEGERS if requantized else FLOAT16
        for name in each.dequants:
            node = _node(graph, name, DeQuant)
            changed[name] = _evolved(node, gives=gives, quant_scale=each.scale, offset=each.offset)
        for name in each.relus:
            node = graph.node(name)
            if isinstance(node.attributes, ReLU6):
                limit = math.inf if requantized else node.attributes.limit * each.scale
                changed[name] = _evolved(node, limit=limit)
        for name in each.quants:
            node = _node(graph, name, Quant)
            added = each.offset if requantized else None
            changed[name] = _evolved(node, scale=1.0, added=added)
            for use in graph.uses(node.inputs[0]):
                other = use.node.attributes
                if isinstance(other, Float16) and other.through == node.attributes:
                    # It reads the int8 of this Quant, and so what has become of it.
                    through = changed[name].attributes
                    changed[use.node.name] = _evolved(use.node, through=through)
    return graph.replace([changed.get(node.name, node) for node in graph.nodes])


def dequantize_to(graph: Graph, gives: str) -> Tuple[Graph, Tuple[str, ...]]:
    """Return ``graph`` whose DeQuants give ``gives`` unless they give integers, and their names."""
    chosen = {
        node.name: _evolved(node, gives=gives)
        for node in graph.nodes
        if isinstance(node.attributes, DeQuant) and node.attributes.gives != INTEGERS
    }
    nodes = [chosen.get(node.name, node) for node in graph.nodes]
    return graph.replace(nodes), tuple(chosen)


def _evolved(node: Node, **changes: object) -> Node:
    return attrs.evolve(node, attributes=attrs.evolve(node.attributes, **changes))


def _node(graph: Graph, name: str, kind: type) -> Node:
    node = graph.node(name)
    if not isinstance(node.attributes, kind):
        raise ModelError(
            f"it is a {node.op} layer, and is to be merged as {kind.__name__}.",
            file=graph.file,
            layer=name,
            remedy="Simulate without a soc version, or save the model again.",
        )
    return node
