"""What ``--set`` says: ``LAYERS.KEY=VALUE`` or, of the whole configuration, ``KEY=VALUE``.

LAYERS is a selector (:mod:`amct_core.config.selectors`) and may hold dots: it ends before the first
``.`` that a key of a layer's entry follows (``retrain_enable``, ``retrain_data_config`` and
``retrain_weight_config``; ``quant_enable``, ``activation_quant_params`` and
``weight_quant_params``).  Where the name of a layer holds such a key, the dot before it is written
``[.]``.  KEY is a dotted key, of the layer's entry or of the whole configuration.  VALUE is JSON,
or else the text itself; ``null`` removes the key, so that the default counts.
"""

from __future__ import annotations

import json
import re
from typing import Any, Iterable, Mapping, Optional, Sequence, Tuple

import attrs

from amct_core.config.selectors import Selector
from amct_core.config.values import parse_json, suggestion
from amct_core.errors import ConfigError

OPTION = "--set"


@attrs.frozen
class Keys:
    """The keys that there are in a form of configuration.

    Attributes:
        whole: those that are no layers.
        entry: those of a layer's entry, and those below each; none: it holds a value.
    """

    whole: Tuple[str, ...]
    entry: Mapping[str, Tuple[str, ...]]

    def path(self, key: str, source: str) -> Tuple[str, ...]:
        """Return the parts of a dotted ``key`` of a layer's entry.

        Raises:
            ConfigError: its first part is none of :attr:`entry`, or holds a value and no keys.
        """
        parts = tuple(key.split("."))
        if parts[0] not in self.entry:
            raise ConfigError(
                f"'{key}' is no key of a layer's entry; expected one of {_listed(self.entry)}.",
                file=source,
                remedy=self.meant(parts),
            )
        if len(parts) > 1 and not self.entry[parts[0]]:
            raise ConfigError(
                f"'{key}' is no key of a layer's entry: '{parts[0]}' holds a value, no keys.",
                file=source,
                remedy=f"Write {parts[0]} alone.",
            )
        return parts

    def meant(self, parts: Sequence[str]) -> str:
        """Return which key the ``parts`` of an unknown one may mean."""
        below = {key: f"{section}.{key}" for section, keys in self.entry.items() for key in keys}
        for part in parts:
            if part in below:
                return f"Did you mean '{below[part]}'?"
        for part in parts:
            said = suggestion(part, (*self.entry, *self.whole), "")
            if said:
                return said
        return "Correct the key."


@attrs.frozen
class Assignment:
    """A value for a key.

    Attributes:
        source: how it is written, for messages.
        selector: of which layers; None: of the whole configuration.
        path: the parts of the dotted key.
        value: what JSON holds; None: the key is removed.
    """

    source: str
    selector: Optional[Selector]
    path: Tuple[str, ...]
    value: Any


def parse(text: str, keys: Keys) -> Assignment:
    """Return what the argument of ``--set`` says.

    Raises:
        ConfigError: it has no ``=``, no value, or a key that is none.
    """
    source = f"{OPTION} {text}"
    found = re.match(_of_layers(keys), text, re.DOTALL)
    if found is not None:
        path = keys.path(found["key"], source)
        selector = Selector(found["layers"], source)
        return Assignment(source, selector, path, _value(found["value"], source))
    key, equals, value = text.partition("=")
    first, dot, rest = key.partition(".")
    if not equals:
        raise ConfigError(
            "there is no '='; expected LAYERS.KEY=VALUE or KEY=VALUE.",
            file=source,
            remedy="Write the value behind '='.",
        )
    if first in keys.whole and bool(dot) == bool(rest):
        return Assignment(source, None, (first, rest) if dot else (first,), _value(value, source))
    raise ConfigError(
        f"'{key}' holds no known key; expected LAYERS.KEY with KEY from {_listed(keys.entry)}, or "
        f"one of {_listed(keys.whole)}.",
        file=source,
        remedy=keys.meant(key.split(".")[::-1]),
    )


def _of_layers(keys: Keys) -> str:
    first = "|".join(map(re.escape, keys.entry))
    return rf"(?P<layers>.+?)\.(?P<key>(?:{first})(?:\.[^=]*)?)=(?P<value>.*)$"


def _value(text: str, source: str) -> Any:
    if not text:
        raise ConfigError(
            "there is no value; expected JSON or a word behind '='.",
            file=source,
            remedy='Write null to remove the key, or "" for an empty text.',
        )
    try:
        return parse_json(text)
    except json.JSONDecodeError:
        return text
    except ValueError as error:
        raise ConfigError(f"{error}.", file=source, remedy="Correct the value.") from error


def _listed(keys: Iterable[str]) -> str:
    return ", ".join(keys)
