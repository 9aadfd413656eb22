"""What ATC's passes make of the linted model, for rules that ask for it."""

from __future__ import annotations

from typing import FrozenSet, Optional, Tuple

import attrs

from amct_core.errors import AmctError
from amct_core.extensions import Merged
from amct_core.graph import Graph
from ascend_backend.lint.graph import graph_of
from ascend_backend.lint.model import DeployModel
from ascend_backend.merging import merged
from ascend_backend.rollback import rolled_back, taken_out
from ascend_backend.targets import AscendFamily


@attrs.frozen(eq=False)
class Fused:
    """A model behind the roll-back.

    Attributes:
        graph: without the Quants and DeQuants of layers that are rolled back.
        merged: the DeQuants and Quants that ATC merges.
    """

    graph: Graph
    merged: Tuple[Merged, ...]

    @property
    def merged_quants(self) -> FrozenSet[str]:
        """The names of the Quants that are merged."""
        return frozenset(name for each in self.merged for name in each.quants)


def fused(model: DeployModel, family: AscendFamily) -> Optional[Fused]:
    """Return what ``family`` makes of ``model``; None of a broken network, which others report."""
    graph = graph_of(model)
    if graph is None:
        return None
    try:
        if family.rolls_back.value:
            layers = {found.layer for found in rolled_back(graph, family.isa.value)}
            graph = taken_out(graph, layers)
        return Fused(graph, tuple(merged(graph, family.merges.value)))
    except AmctError:
        return None
