"""Finds out whether a tensor can hold negative values: the source of ``fixed_min``."""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

import attrs

from amct_core.extensions import layer_type
from amct_core.graph.graph import Graph, Node, Value


@attrs.frozen
class DecidedSign:
    """Whether a tensor is known to be non-negative, and the layer that decides it.

    ``decided_by`` names the ReLU-like layer that makes it so, or the layer (or network input) on
    the way up behind which negative values are possible.
    """

    nonnegative: bool
    decided_by: str


def sign_of(graph: Graph, value: Value) -> DecidedSign:
    """Follow ``value`` upstream until the sign is decided on every path.

    Each layer type says what it does to signs (:attr:`amct_core.extensions.LayerType.sign`).
    """
    known: Dict[Value, DecidedSign] = {}
    stack = [value]
    while stack:
        current = stack[-1]
        if current in known:
            stack.pop()
            continue
        node = graph.producer(current)
        decided = _decided(node, current)
        if decided is None:
            assert node is not None
            unknown = [v for v in _data_inputs(node) if v not in known]
            if unknown:
                stack.extend(unknown)
                continue
            decided = _combine(node, [known[v] for v in _data_inputs(node)])
        known[current] = decided
        stack.pop()
    return known[value]


def _decided(node: Optional[Node], value: Value) -> Optional[DecidedSign]:
    """Return the sign if this node alone decides it; None if its inputs do."""
    if node is None:
        return DecidedSign(False, f"network input '{value.name}'")
    sign = node.type.sign_of(node)
    if sign in (layer_type.Sign.KEPT, layer_type.Sign.LARGEST) and node.inputs:
        return None
    return DecidedSign(sign is layer_type.Sign.NONNEGATIVE, node.name)


def _data_inputs(node: Node) -> Tuple[Value, ...]:
    return node.inputs[: node.type.data_inputs]


def _combine(node: Node, signs: List[DecidedSign]) -> DecidedSign:
    # The larger of two numbers is non-negative as soon as one of them is.
    decisive = node.type.sign_of(node) is layer_type.Sign.LARGEST
    return next((s for s in signs if s.nonnegative is decisive), signs[0])
