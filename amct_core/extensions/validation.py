"""Checks that every extension type makes of itself when a plugin constructs it."""

from __future__ import annotations

import re
from typing import Any

import attrs

from amct_core.errors import PluginError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


def plugin_name(instance: object, attribute: attrs.Attribute[str], value: object) -> None:
    """Require a name that can be written in a config file and on a command line."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise PluginError(
            f"{type(instance).__name__}.{attribute.name} is {value!r}; expected letters, digits, "
            "'_', '.', '+' or '-', beginning with a letter or digit."
        )


def is_callable(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Require something that can be called."""
    if not callable(value):
        name = getattr(instance, "name", "?")
        raise PluginError(
            f"{type(instance).__name__} '{name}': {attribute.name} is {value!r}; "
            "expected a callable."
        )


def callable_or_none(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Require a callable, or None."""
    if value is not None:
        is_callable(instance, attribute, value)


def count_or_none(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Require ``(at least, at most)``, where None at the end is any number; or None."""
    if value is None:
        return
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], int):
        least, most = value
        if least >= 0 and (most is None or (isinstance(most, int) and most >= least)):
            return
    name = getattr(instance, "name", "?")
    raise PluginError(
        f"{type(instance).__name__} '{name}': {attribute.name} is {value!r}; expected a pair "
        "(at least, at most), such as (1, 1), or (1, None) for any number."
    )


def is_text(instance: object, attribute: attrs.Attribute[str], value: object) -> None:
    """Require a text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        name = getattr(instance, "name", "?")
        raise PluginError(
            f"{type(instance).__name__} '{name}': {attribute.name} is {value!r}; expected a text."
        )
