"""Finds out whether a tensor can hold negative values: the source of ``fixed_min``."""

from __future__ import annotations

import attrs

from amct_core.graph.attributes import Eltwise, ReLU
from amct_core.graph.graph import Graph, Node, Value

_SOURCES = frozenset({"ReLU", "Sigmoid", "Softmax"})
_PASS_THROUGH = frozenset(
    {
        "Pooling",
        "Concat",
        "Slice",
        "Split",
        "Dropout",
        "Flatten",
        "Reshape",
        "Permute",
        "Crop",
        "LRN",
    }
)


@attrs.frozen
class Sign:
    """Whether a tensor is known to be non-negative, and the layer that decides it.

    ``decided_by`` names the ReLU-like layer that makes it so, or the layer (or network input) on
    the way up behind which negative values are possible.
    """

    nonnegative: bool
    decided_by: str


def sign_of(graph: Graph, value: Value) -> Sign:
    """Follow ``value`` upstream until the sign is decided on every path.

    A tensor is non-negative if every path upstream reaches ReLU (with ``negative_slope`` 0),
    Sigmoid or Softmax through layers that keep the sign: Pooling, Concat, Slice, Dropout, Flatten,
    Reshape, Permute, Crop, LRN, Eltwise MAX, and Eltwise SUM with non-negative coefficients.
    """
    known: dict[Value, Sign] = {}
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
            unknown = [v for v in node.inputs if v not in known]
            if unknown:
                stack.extend(unknown)
                continue
            decided = _combine(node, [known[v] for v in _sign_inputs(node)])
        known[current] = decided
        stack.pop()
    return known[value]


def _decided(node: Node | None, value: Value) -> Sign | None:
    """Return the sign if this node alone decides it; None if its inputs do."""
    if node is None:
        return Sign(False, f"network input '{value.name}'")
    if node.op in _SOURCES:
        leaky = isinstance(node.attributes, ReLU) and node.attributes.negative_slope != 0
        return Sign(not leaky, node.name)
    if node.op in _PASS_THROUGH and node.inputs:
        return None
    if isinstance(node.attributes, Eltwise) and _keeps_sign(node.attributes):
        return None
    return Sign(False, node.name)


def _keeps_sign(eltwise: Eltwise) -> bool:
    if eltwise.operation == "MAX":
        return True
    return eltwise.operation == "SUM" and all(c >= 0 for c in eltwise.coefficients)


def _sign_inputs(node: Node) -> tuple[Value, ...]:
    # The second input of Crop is a shape, not data.
    return node.inputs[:1] if node.op == "Crop" else node.inputs


def _combine(node: Node, signs: list[Sign]) -> Sign:
    if isinstance(node.attributes, Eltwise) and node.attributes.operation == "MAX":
        # The larger of two numbers is non-negative as soon as one of them is.
        return next((s for s in signs if s.nonnegative), signs[0])
    return next((s for s in signs if not s.nonnegative), signs[0])
