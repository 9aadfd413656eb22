"""Checks the rules whose violation makes Caffe abort the whole process."""

from __future__ import annotations

import logging
from typing import Dict, Iterator, List, Sequence, Set

import attrs

from amct_caffe.model.formats.prototxt.document import Layer
from amct_core.errors import ModelError
from amct_core.graph import Graph

_log = logging.getLogger("amct_caffe.passes.structure")


@attrs.frozen
class UnmadeBottom:
    """A bottom that no earlier layer makes."""

    layer: str
    blob: str


def unmade_in(layers: Sequence[Layer]) -> Iterator[UnmadeBottom]:
    """Yield the bottoms that no earlier layer of one net makes: Caffe ends the process there."""
    made: Set[str] = set()
    for layer in layers:
        for bottom in layer.bottoms:
            if bottom not in made:
                yield UnmadeBottom(layer.name, bottom)
        made.update(layer.tops)


def check_bottoms(phases: Sequence[Graph], advice: str = "") -> None:
    """Raise if a layer reads a blob that is made before it in none of the phases that have it.

    1. A bottom that is missing in every phase that has the layer is an error.
    2. One that is missing in one of two phases is a warning: a network may lack a phase on purpose
       (a file for training alone).

    Args:
        phases: the network in training and in testing.
        advice: what else to do about it.

    Raises:
        ModelError: naming the layer and the blob.
    """
    had_by: Dict[str, int] = {}
    unmade: Dict[UnmadeBottom, List[Graph]] = {}
    for graph in phases:
        for name in {node.name for node in graph.nodes}:
            had_by[name] = had_by.get(name, 0) + 1
        missing = [
            UnmadeBottom(node.name, value.name)
            for node in graph.nodes
            for value in node.inputs
            if graph.producer(value) is None
        ]
        for bottom in dict.fromkeys(missing):
            unmade.setdefault(bottom, []).append(graph)
    for bottom, graphs in unmade.items():
        if len(graphs) == had_by[bottom.layer]:
            raise ModelError(
                f"it reads '{bottom.blob}', which no layer before it makes.",
                file=graphs[0].file,
                layer=bottom.layer,
                field="bottom",
                remedy=(
                    "Correct the name of the blob, or add the layer that makes it. " + advice
                ).rstrip(),
            )
        _log.warning(
            "layer '%s' reads '%s', which is made in one of the phases TRAIN and TEST alone; Caffe "
            "will refuse the other%s",
            bottom.layer,
            bottom.blob,
            f". {advice}" if advice else "",
        )


def check_structure(graph: Graph) -> None:
    """Raise if Caffe would refuse how the layers of ``graph`` write their blobs.

    1. A top must be new, or be the bottom of the same position (in place).
    2. A blob that a layer works on in place must have no other reader: Caffe would split it, and
       the layer would no longer be in place ("produced by multiple sources").

    Raises:
        ModelError: naming the layer, the blob and the other reader.
    """
    written = {value.name for value in graph.inputs}
    for node in graph.nodes:
        for index, top in enumerate(node.tops):
            in_place = index < len(node.bottoms) and node.bottoms[index] == top
            if not in_place and top in written:
                raise ModelError(
                    f"its top '{top}' has been written by another layer before; expected a new "
                    "name, or the bottom of the same position for a layer that works in place.",
                    file=graph.file,
                    layer=node.name,
                    field="top",
                    remedy="Give the top a name of its own.",
                )
            if in_place:
                others = [
                    use.node.name for use in graph.uses(node.inputs[index]) if use.node is not node
                ]
                if others:
                    raise ModelError(
                        f"it works in place on '{top}', which '{others[0]}' reads as well; Caffe "
                        "aborts on that.",
                        file=graph.file,
                        layer=node.name,
                        field="top",
                        remedy="Give the top a name of its own.",
                    )
            written.add(top)
