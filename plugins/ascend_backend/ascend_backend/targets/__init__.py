"""What each Ascend processor does with a quantized Caffe model.

The facts are data: ``targets.json`` beside this file.  Each one carries its source, and whether it
is verified there, inferred from it, or unknown.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import attrs

from amct_core.extensions import Fact, Merged, ProcessorFamily, RolledBack
from amct_core.extensions.processor_family import INFERRED, REQUANTIZED, UNKNOWN, VERIFIED
from amct_core.processor_families import families_of

if TYPE_CHECKING:
    from amct_core.graph import Graph

_FILE = Path(__file__).with_name("targets.json")
_REMEDY = (
    "'npu-smi info' on the machine with the processor shows the name: write 'Ascend' before it."
)


@attrs.frozen(kw_only=True)
class AscendFamily(ProcessorFamily):
    """Ascend processors that behave alike.

    Attributes:
        isa: the instruction set of the AI cores: ``v100``, ``v200``, ``v220``, ``v300``, ``v350``.
        accepts_caffe: whether ATC converts Caffe models for it.
    """

    isa: Fact[str]
    accepts_caffe: Fact[bool]

    def facts(self) -> Dict[str, Fact[Any]]:
        """Return every fact by its name."""
        values = {field.name: getattr(self, field.name) for field in attrs.fields(type(self))}
        return {name: value for name, value in values.items() if isinstance(value, Fact)}


@attrs.frozen
class Target:
    """The processor that a model is meant for.

    Attributes:
        soc_version: its name, such as ``Ascend310P3``.
        family: the processors that behave as it does.
    """

    soc_version: str
    family: AscendFamily


def find_target(soc_version: str) -> Target:
    """Return what is known about ``soc_version``.

    Args:
        soc_version: as for ATC's ``--soc_version``; a name that is not listed belongs to the family
            whose pattern it matches (``Ascend310B4`` to that of ``Ascend310B1``).

    Raises:
        AmctError: no family has such names; the message lists the nearest ones.
    """
    found = families_of(families(), soc_version, _REMEDY)
    return Target(soc_version, found[0])


def soc_versions() -> List[str]:
    """Return the names that are known to exist, family by family."""
    return [name for family in families() for name in family.examples]


@functools.cache
def families() -> Tuple[AscendFamily, ...]:
    """Return every family of the table."""
    document = json.loads(_FILE.read_text(encoding="utf-8"))
    return tuple(_family(entry) for entry in document["families"])


def _family(entry: Mapping[str, Any]) -> AscendFamily:
    facts: Dict[str, Any] = {name: Fact(**fact) for name, fact in entry["facts"].items()}
    return AscendFamily(
        name=entry["name"],
        description=entry["description"],
        pattern=entry["pattern"],
        examples=entry["examples"],
        rolled_back=_rolled_back_on(facts["isa"].value),
        merged=_merged_on(facts["merges"].value),
        not_simulated=_not_simulated(**facts),
        **facts,
    )


def _rolled_back_on(isa: Optional[str]) -> Callable[[Graph], Sequence[RolledBack]]:
    def rolled_back(graph: Graph) -> Sequence[RolledBack]:
        from ascend_backend.rollback import rolled_back as find

        return find(graph, isa)

    return rolled_back


def _merged_on(merges: Optional[str]) -> Callable[[Graph], Sequence[Merged]]:
    def merged(graph: Graph) -> Sequence[Merged]:
        from ascend_backend.merging import merged as find

        return find(graph, merges)

    return merged


def _not_simulated(
    isa: Fact[str],
    merges: Fact[str],
    accepts_caffe: Fact[bool],
    quantizes_in_fp16: Fact[bool],
    **others: object,
) -> List[str]:
    notes = ["The order in which float16 products are added is not public."]
    if merges.value == REQUANTIZED:
        notes.append(
            f"An Eltwise of DeQuants with N and equal words adds int16 numbers ({merges.status})."
        )
    if isa.value == "v220":
        status = quantizes_in_fp16.status
        notes.append(f"A Quant right behind a convolution has float32 scale and offset ({status}).")
    if accepts_caffe.value is False:
        notes.append(f"ATC takes no Caffe models for it ({accepts_caffe.status}).")
    return notes


__all__ = [
    "INFERRED",
    "UNKNOWN",
    "VERIFIED",
    "AscendFamily",
    "Fact",
    "Target",
    "families",
    "find_target",
    "soc_versions",
]
