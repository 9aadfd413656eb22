"""Checks that an inserted layer, which TRAIN and TEST have in common, sees the same in both.

A network may have a copy of a layer for each phase, of one name.  What is inserted stands at one
place of the file and reads one blob name; copies that are fed differently would be rewired without
a word.
"""

from __future__ import annotations

from typing import Optional, Tuple

from amct_caffe.model.network import CaffeNetwork
from amct_caffe.model.to_graph import to_graph
from amct_core.errors import ModelError
from amct_core.graph import Graph, Node, Value

PHASES = ("TRAIN", "TEST")


def graphs_of(network: CaffeNetwork) -> Tuple[Graph, ...]:
    """Return ``network`` in each of :data:`PHASES`."""
    return tuple(to_graph(network, phase) for phase in PHASES)


def check_same_tensor(
    graph: Graph, expected: Value, producer: Optional[Node], reader: Node, layer: str, phase: str
) -> None:
    """Raise unless ``reader`` reads tensor ``expected``.

    Args:
        graph: with the inserted layers.
        expected: the tensor, as the network has it without them.
        producer: the layer that makes ``expected``; None for an input of the network.
        reader: the inserted layer, or a reader of it.
        layer: the layer of the user that it belongs to.
        phase: of ``graph``, for the message.

    Raises:
        ModelError: naming the user's layer, both tensors and the phase.
    """
    found = reader.inputs[0]
    if found == expected and _name(graph.producer(found)) == _name(producer):
        return
    found_text = _described(found, graph.producer(found))
    raise ModelError(
        f"in {phase}, '{reader.name}' would read {found_text} in place of "
        f"{_described(expected, producer)}: this layer, or what is around it, has one copy for "
        "TRAIN and one for TEST; expected both to read and write the same blobs at one place of "
        "the file.",
        file=graph.file,
        layer=layer,
        remedy=(
            "Write one layer for both phases, and the layers of one phase alone before it; or "
            "disable it in the config (retrain_enable: false)."
        ),
    )


def _name(node: Optional[Node]) -> Optional[str]:
    return node.name if node is not None else None


def _described(value: Value, producer: Optional[Node]) -> str:
    made = f"of layer '{producer.name}'" if producer is not None else "that no layer has made"
    return f"'{value.name}' {made}"
