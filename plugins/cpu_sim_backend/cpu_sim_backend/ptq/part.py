"""The part of a network that given values depend on, with inputs in place of its data layers."""

from __future__ import annotations

from typing import Dict, List, Mapping, Sequence, Set, Tuple

import attrs

from amct_core.graph import Graph, Node, Value
from amct_core.graph.attributes import Data, Input


@attrs.frozen(eq=False)
class Part:
    """Some layers of a network.

    Attributes:
        file: where the network came from, for messages.
        graph: the layers, without those that bring data in.
        inputs: the blobs that these brought in, as far as they are read.
        values: the values that are wanted, and what each is called in :attr:`graph`: a blob that
            was written once more by a layer that is left out has another version here.
    """

    file: object
    graph: Graph
    inputs: Tuple[str, ...]
    values: Mapping[Value, Value]

    def with_inputs(self, shapes: Mapping[str, Tuple[int, ...]]) -> Graph:
        """Return the graph with Input layers that give blobs of ``shapes``."""
        inputs = [
            Node(f"input '{blob}'", "Input", (), (blob,), Input((shapes[blob],)))
            for blob in self.inputs
        ]
        return self.graph.replace([*inputs, *self.graph.nodes])


def part_for(graph: Graph, values: Sequence[Value]) -> Part:
    """Return the layers of ``graph`` that ``values`` depend on."""
    kept: Set[int] = set()
    inputs: Dict[str, None] = {}
    stack, seen = list(values), set()
    while stack:
        value = stack.pop()
        if value in seen:
            continue
        seen.add(value)
        node = graph.producer(value)
        if node is None or isinstance(node.attributes, (Input, Data)):
            inputs[value.name] = None
            continue
        kept.add(id(node))
        stack.extend(node.inputs)
    nodes = [node for node in graph.nodes if id(node) in kept]
    own = _renamed(graph, nodes, tuple(inputs))
    return Part(
        graph.file, graph.replace(nodes), tuple(inputs), {value: own[value] for value in values}
    )


def _renamed(graph: Graph, nodes: Sequence[Node], inputs: Sequence[str]) -> Dict[Value, Value]:
    """Return what each value of ``nodes`` and ``inputs`` is in the graph of these nodes alone."""
    heads: List[Node] = [Node(blob, "Input", (), (blob,), Input(((),))) for blob in inputs]
    part = graph.replace([*heads, *nodes])
    own = {Value(blob): Value(blob) for blob in inputs}
    for before, after in zip(nodes, part.nodes[len(heads) :]):
        own.update(zip(before.outputs, after.outputs))
    return own
