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
key.  A layer may be there several times, but no key of it with two values.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

import attrs

from amct_core.config.values import Section
from amct_core.errors import ConfigError
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

    def not_said(self, form: str) -> Tuple[AdviceEntry, ...]:
        """Return the entries whose cure cannot be said in the form of configuration."""
        return tuple(entry for entry in self.entries if entry.cure(form) is None)


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
    advice = Advice(file, tuple(_entry(file, i, each) for i, each in enumerate(entries)))
    for part in PARTS:
        _check_one_value_each(advice, part)
    return advice


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


def _check_one_value_each(advice: Advice, part: str) -> None:
    said: Dict[Tuple[str, str], List[Any]] = {}
    for place, entry in enumerate(advice.entries):
        cure = entry.cure(part)
        for key, value in {} if cure is None else cure.values.items():
            before = said.setdefault((entry.layer, key), [value])
            if before != [value]:
                raise ConfigError(
                    f"it is {value!r}, and {before[0]!r} in an earlier entry of this layer.",
                    file=advice.file,
                    layer=entry.layer,
                    field=f"advice[{place}].{part}.set.{key}",
                    remedy="Remove one of the two.",
                )
