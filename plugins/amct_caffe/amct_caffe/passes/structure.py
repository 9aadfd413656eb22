"""Checks the rules whose violation makes Caffe abort the whole process."""

from __future__ import annotations

from amct_core.errors import ModelError
from amct_core.graph import Graph


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
