"""Which Eltwise layers ATC computes as sums of int16, on processors of ISA v200.

Conditions, in the order of the network:

1. Each reader of the Eltwise is a Quant or an Eltwise; or a removable ReLU whose readers are such.
2. Each input is a DeQuant or an Eltwise that is such a sum itself, directly or behind a ReLU of
   slope 0.
3. Each of the DeQuants has one reader, has N other than 0 in a channel, and is not merged with a
   Quant.
4. The words of the DeQuants are equal, channel by channel.

DeQuants become DequantS16, Eltwise and Quants one RequantS16, with the arithmetic of
:mod:`amct_core.numerics.ascend_v200`.

Source (verified): CANN fusion engine, ``ParseQuantsOfNotRequantPattern2``,
``ParseDequantsOfNotRequantPattern2``, ``JudgeAndExtractQuantParas`` and
``DealHighPerformanceEltwiseQuant`` of V200NotRequantFusionPass.
"""

from __future__ import annotations

from typing import AbstractSet, Dict, List, Optional, Tuple

import attrs
import numpy as np

from amct_core.graph import Graph, Node, Value
from amct_core.graph.attributes import DeQuant, Eltwise, Quant
from ascend_backend.merging import is_relu, is_removable, readers, slope

_SHIFT_BITS = np.uint64(0xFF << 32)


@attrs.frozen(eq=False)
class Int16Sum:
    """An Eltwise that is computed in int16, or would be if the words of its DeQuants were equal.

    Attributes:
        eltwise: the layer.
        dequants: those among its inputs.
        sums: the Eltwise layers among its inputs, which are such sums.
        quants: those behind it, in the order of the readers.
        adders: the Eltwise layers behind it.
        relus: between its DeQuants and itself.
        equal_words: whether condition 4 holds.
    """

    eltwise: Node
    dequants: Tuple[Node, ...]
    sums: Tuple[Node, ...]
    quants: Tuple[Node, ...]
    adders: Tuple[Node, ...]
    relus: Tuple[Node, ...]
    equal_words: bool


def int16_sums(graph: Graph, merged_dequants: AbstractSet[str]) -> List[Int16Sum]:
    """Return the Eltwise layers for which conditions 1 to 3 hold.

    Args:
        graph: a deployable model in which the DeQuants of layers that are rolled back are none any
            more.
        merged_dequants: the names of those that are merged with Quants.
    """
    found: Dict[Node, Int16Sum] = {}
    for node in graph.nodes:
        if isinstance(node.attributes, Eltwise):
            behind = _behind(graph, node)
            before = _before(graph, node, [each for each in found if found[each].equal_words])
            if behind is None or before is None:
                continue
            dequants, sums, relus = before
            own = [each for each in dequants if each.name not in merged_dequants]
            if len(own) == len(dequants) and all(_is_free(graph, each) for each in dequants):
                equal = _equal(dequants)
                found[node] = Int16Sum(node, dequants, sums, *behind, relus, equal)
    return list(found.values())


def _equal(dequants: Tuple[Node, ...]) -> bool:
    return all(np.array_equal(dequants[0].weights[0], each.weights[0]) for each in dequants)


def _is_free(graph: Graph, node: Node) -> bool:
    if len(readers(graph, node)) != 1 or not node.weights or node.weights[0].dtype != np.uint64:
        return False
    return bool((node.weights[0] & _SHIFT_BITS).any())


def _behind(graph: Graph, eltwise: Node) -> Optional[Tuple[Tuple[Node, ...], Tuple[Node, ...]]]:
    """Return the Quants and the Eltwise layers behind ``eltwise``; None if something else is."""
    found: List[Node] = []
    first = readers(graph, eltwise)
    for node in first:
        if is_relu(node):
            if len(first) > 1 or not is_removable(node):
                return None
            found.extend(readers(graph, node))
        else:
            found.append(node)
    quants = tuple(node for node in found if isinstance(node.attributes, Quant))
    adders = tuple(node for node in found if isinstance(node.attributes, Eltwise))
    return (quants, adders) if found and len(quants) + len(adders) == len(found) else None


_Before = Tuple[Tuple[Node, ...], Tuple[Node, ...], Tuple[Node, ...]]


def _before(graph: Graph, eltwise: Node, known: List[Node]) -> Optional[_Before]:
    """Return DeQuants, sums and ReLUs before ``eltwise``; None if something else is there."""
    dequants, sums, relus = [], [], []
    for value in eltwise.inputs:
        node, relu = _through_relu(graph, value)
        if node is not None and isinstance(node.attributes, DeQuant):
            dequants.append(node)
            relus.extend([relu] if relu is not None else [])
        elif node is not None and node in known:
            sums.append(node)
        else:
            return None
    return tuple(dequants), tuple(sums), tuple(relus)


def _through_relu(graph: Graph, value: Value) -> Tuple[Optional[Node], Optional[Node]]:
    node = graph.producer(value)
    if node is None or not is_relu(node) or node.op == "ReLU6" or slope(node) != 0:
        return node, None
    return graph.producer(node.inputs[0]), node
