"""What each Ascend processor does with a quantized Caffe model.

The facts are data: ``targets.json`` beside this file.  Each one carries its source, and whether it
is verified there, inferred from it, or unknown.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any, Dict, List, Mapping, Tuple

import attrs

from amct_core.extensions.processor import INFERRED, UNKNOWN, VERIFIED, Fact
from amct_core.processors import families_of

_FILE = Path(__file__).with_name("targets.json")
_REMEDY = (
    "'npu-smi info' on the machine with the processor shows the name: write 'Ascend' before it."
)


@attrs.frozen
class Target:
    """A processor as ``--soc-version`` names it.

    Attributes:
        soc_version: the name, such as ``Ascend310P3``.
        family: the processors that behave alike, such as ``Ascend310P``.
        description: the products that have it.
        isa: the instruction set of the AI cores: ``v100``, ``v200``, ``v220``, ``v300``, ``v350``.
        accepts_caffe: whether ATC converts Caffe models for it.
        honours_shift_n: whether a shift N other than 0 changes what DeQuant computes.
        quantizes_in_fp16: whether a Quant by itself multiplies and adds in float16; false: in
            float32.
        rolls_back_few_channels: whether quantized layers with at most 16 input channels are turned
            back into float16 layers.
        cuts_deq_scale: whether the float32 deq_scale loses its 13 lowest bits (fix-pipe).
        dequantizes_to: what DeQuant gives: ``float32``, ``float16``, or ``float16 scale``, which is
            float16 by a deq_scale in float16.
        merges: what becomes of a DeQuant and the Quants behind it: ``separate``, ``merged`` (the
            scale of the Quants moves into deq_scale) or ``requantized`` (one operation, int8 out).
        floats_in_fp16: whether float layers compute in float16.
    """

    soc_version: str
    family: str
    description: str
    isa: Fact[str]
    accepts_caffe: Fact[bool]
    honours_shift_n: Fact[bool]
    quantizes_in_fp16: Fact[bool]
    rolls_back_few_channels: Fact[bool]
    cuts_deq_scale: Fact[bool]
    dequantizes_to: Fact[str]
    merges: Fact[str]
    floats_in_fp16: Fact[bool]

    def facts(self) -> Dict[str, Fact[Any]]:
        """Return every fact by its name."""
        values = {field.name: getattr(self, field.name) for field in attrs.fields(type(self))}
        return {name: value for name, value in values.items() if isinstance(value, Fact)}


@attrs.frozen
class Family:
    """Processors that behave alike.

    Attributes:
        pattern: regular expression that the whole name matches.
        examples: names that are known to exist.
    """

    name: str
    description: str
    pattern: str
    examples: Tuple[str, ...]
    facts: Mapping[str, Fact[Any]]

    def target(self, soc_version: str) -> Target:
        """Return what is known about one of these processors."""
        return Target(soc_version, self.name, self.description, **self.facts)


def find_target(soc_version: str) -> Target:
    """Return what is known about ``soc_version``.

    Args:
        soc_version: as for ATC's ``--soc_version``; a name that is not listed belongs to the family
            whose pattern it matches (``Ascend310B4`` to that of ``Ascend310B1``).

    Raises:
        AmctError: no family has such names; the message lists the nearest ones.
    """
    found = families_of(families(), soc_version, _REMEDY)
    return found[0].target(soc_version)


def soc_versions() -> List[str]:
    """Return the names that are known to exist, family by family."""
    return [name for family in families() for name in family.examples]


@functools.cache
def families() -> Tuple[Family, ...]:
    """Return every family of the table."""
    document = json.loads(_FILE.read_text(encoding="utf-8"))
    return tuple(_family(entry) for entry in document["families"])


def _family(entry: Mapping[str, Any]) -> Family:
    return Family(
        name=entry["name"],
        description=entry["description"],
        pattern=entry["pattern"],
        examples=tuple(entry["examples"]),
        facts={name: Fact(**fact) for name, fact in entry["facts"].items()},
    )


__all__ = [
    "INFERRED",
    "UNKNOWN",
    "VERIFIED",
    "Fact",
    "Family",
    "Target",
    "families",
    "find_target",
    "soc_versions",
]
