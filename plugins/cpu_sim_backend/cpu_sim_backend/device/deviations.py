"""Where a processor departs from the exact integers, and how well that is known."""

from __future__ import annotations

from typing import Any, Dict, Iterator, Tuple

import attrs

from amct_core.extensions import Fact, ProcessorFamily
from amct_core.graph import Graph


@attrs.frozen
class Deviation:
    """One thing that a processor may do otherwise.

    Attributes:
        field: the attribute of :class:`~amct_core.extensions.ProcessorFamily` that says so.
        title: what it is about.
        fact: whether it does, how well that is known, and where it is written.
        behaviour: what is computed because of it.
        departs: whether that is another thing than the model says.
        layers: the layers that compute otherwise for it.
        open_point: what is not known about how the processor does it; empty if nothing.
    """

    field: str
    title: str
    fact: Fact[Any]
    behaviour: str
    departs: bool
    layers: Tuple[str, ...] = ()
    open_point: str = ""

    def as_json(self) -> Dict[str, Any]:
        """Return the deviation as ``--json`` prints it."""
        return {
            "field": self.field,
            "value": self.fact.value,
            "status": self.fact.status,
            "source": self.fact.source,
            "behaviour": self.behaviour,
            "departs": self.departs,
            "layers": list(self.layers),
            "open_point": self.open_point or None,
        }

    def __str__(self) -> str:
        count = len(self.layers)
        where = f", {count} layer{'' if count == 1 else 's'}" if self.departs else ""
        note = f"; {self.open_point}" if self.open_point else ""
        return f"{self.title}: {self.behaviour}{where} ({self.fact.status}{note})"


@attrs.frozen(eq=False)
class DeviceGraph:
    """A deployable model as a processor computes it.

    Attributes:
        soc_version: the processor's name.
        family: that it belongs to.
        graph: what is computed.
        deviations: one per fact of the family, those that change nothing included.
    """

    soc_version: str
    family: ProcessorFamily
    graph: Graph = attrs.field(repr=False)
    deviations: Tuple[Deviation, ...]

    def lines(self) -> Iterator[str]:
        """Yield what is simulated and what is not, for people."""
        yield f"{self.soc_version} ({self.family.description}):"
        for deviation in self.deviations:
            yield f"  {deviation}"
        for note in self.family.not_simulated:
            yield f"  not simulated: {note}"

    def as_json(self) -> Dict[str, Any]:
        """Return the same as ``--json`` prints it."""
        return {
            "soc_version": self.soc_version,
            "family": self.family.name,
            "deviations": [deviation.as_json() for deviation in self.deviations],
            "not_simulated": list(self.family.not_simulated),
        }
