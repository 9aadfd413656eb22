"""Names for layers and blobs that a network does not have yet."""

from __future__ import annotations

from typing import Set

from amct_core.graph.graph import Graph


class UniqueNames:
    """Hands out names that no blob or layer of a network has."""

    def __init__(self, graph: Graph) -> None:
        self._taken: Set[str] = {node.name for node in graph.nodes}
        self._taken.update(blob for node in graph.nodes for blob in (*node.bottoms, *node.tops))

    def unique(self, wanted: str) -> str:
        """Return ``wanted``, or that with underscores behind it, and hand it out once."""
        name = wanted
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name
