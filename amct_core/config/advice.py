"""Advice on a configuration, as ``amct report`` writes it.

The file is JSON::

    {"version": 1, "advice": [
        {"layer": "ip2", "cause": "weight outlier", "reason": "one sentence",
         "qat": {"skip": true}, "ptq": {"skip": true}},
        {"layer": "conv3", "cause": "clipping", "reason": "one sentence",
         "qat": {"set": {"retrain_data_config.clip_max": 6.1,
                         "retrain_data_config.clip_min": -6.1}}}]}

``qat`` and ``ptq`` say what to change in either form of configuration; a part is missing where it
cannot be said there.  The keys under ``set`` are dotted keys of the layer's entry; null removes a
key.  A layer may be there several times, as it may have several troubles, the worst first: an entry
that contradicts an earlier one of its layer is not applied.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

import attrs

from amct_core.config.values import Section
from amct_core.files import read_text

VERSION = 1
PARTS = ("qat", "ptq")
_ENTRY = ("layer", "cause", "reason", *PARTS)
_CURE = ("skip", "set")
_REMEDY = "Mend the file, or have amct report write it again."


@attrs.frozen
class Cure:
    """What to change in a layer's entry of one form of configuration.

    Attributes:
        skip: whether the layer is left in float.
        values: values by dotted key; None removes the key.
    """

    skip: bool = False
    values: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class AdviceEntry:
    """What is advised for one layer.

    Attributes:
        layer: its name.
        cause: what is wrong with it, in a word or two.
        reason: why this is the cure, in a sentence.
        qat, ptq: what to change in a configuration; None: it cannot be said there.
    """

    layer: str
    cause: str
    reason: str
    qat: Optional[Cure] = None
    ptq: Optional[Cure] = None

    def cure(self, form: str) -> Optional[Cure]:
        """Return what to change in the form of configuration of this name, one of PARTS."""
        found: Optional[Cure] = {"qat": self.qat, "ptq": self.ptq}[form]
        return found


@attrs.frozen
class Advice:
    """All that a file advises, and the file."""

    file: str
    entries: Tuple[AdviceEntry, ...]

    def cures(self, form: str) -> Tuple[Tuple[AdviceEntry, Cure], ...]:
        """Return the entries to apply to a form of configuration, one of PARTS."""
        return self._sorted(form)[0]

    def not_applied(self, form: str) -> Tuple[NotApplied, ...]:
        """Return the other entries, with the reason."""
        return self._sorted(form)[1]

    def _sorted(
        self, form: str
    ) -> Tuple[Tuple[Tuple[AdviceEntry, Cure], ...], Tuple[NotApplied, ...]]:
        cures: List[Tuple[AdviceEntry, Cure]] = []
        others: List[NotApplied] = []
        said: Dict[Tuple[str, str], Any] = {}
        for entry in self.entries:
            cure = entry.cure(form)
            if cure is None:
                others.append(NotApplied(entry, "this configuration cannot say what would help"))
                continue
            values = {(entry.layer, key): value for key, value in cure.values.items()}
            clash = next((k for k, v in values.items() if said.get(k, v) != v), None)
            if clash is None:
                said.update(values)
                cures.append((entry, cure))
            else:
                why = f"an earlier entry sets {clash[1]} to {said[clash]!r}"
                others.append(NotApplied(entry, why))
        return tuple(cures), tuple(others)


@attrs.frozen
class NotApplied:
    """An entry that is not applied, and why."""

    entry: AdviceEntry
    why: str

    def __str__(self) -> str:
        entry = self.entry
        return f"{entry.layer}: {entry.cause}: {entry.reason} ({self.why})"

    def as_json(self) -> Dict[str, str]:
        """Return what ``--json`` prints."""
        entry = self.entry
        return {
            "layer": entry.layer,
            "cause": entry.cause,
            "reason": entry.reason,
            "why": self.why,
        }


def read(path: str) -> Advice:
    """Read a file of advice.

    Raises:
        ConfigError: naming file, layer and field, what was found and what was expected.
    """
    return parse(read_text(path), path)


def parse(text: str, file: str) -> Advice:
    """Return the advice that JSON ``text`` holds; errors as :func:`read`."""
    top = Section.parse(text, file, _REMEDY)
    top.check_keys(("version", "advice"))
    version = top.integer("version")
    if version != VERSION:
        found = "it is missing" if version is None else f"it is {version}"
        raise top.error("version", f"{found}; expected {VERSION}.", _REMEDY)
    entries = top.data.get("advice")
    if not isinstance(entries, list):
        found = "it is missing" if entries is None else f"it is {entries!r}"
        raise top.wrong_type("advice", f"{found}; expected a list of objects.")
    return Advice(file, tuple(_entry(file, i, each) for i, each in enumerate(entries)))


def _entry(file: str, place: int, data: Any) -> AdviceEntry:
    where = f"advice[{place}]"
    if not isinstance(data, dict):
        raise Section({}, file).wrong_type(where, f"it is {data!r}; expected an object in braces.")
    section = Section(data, file, None, where)
    section.check_keys(_ENTRY)
    layer, cause, reason = (_text(section, key) for key in ("layer", "cause", "reason"))
    named = attrs.evolve(section, layer=layer)
    return AdviceEntry(layer, cause, reason, *(_cure(named, part) for part in PARTS))


def _text(section: Section, key: str) -> str:
    found = section.string(key)
    if not found:
        state = "missing" if found is None else "empty"
        raise section.error(key, f"it is {state}; expected a text.", _REMEDY)
    return found


def _cure(entry: Section, part: str) -> Optional[Cure]:
    if part not in entry.data:
        return None
    section = entry.section(part)
    section.check_keys(_CURE)
    skip, values = section.boolean("skip"), section.section("set")
    if not skip and not values.data:
        raise entry.error(
            part, 'it changes nothing; expected "skip": true, or keys under "set".', _REMEDY
        )
    return Cure(bool(skip), values.data)
