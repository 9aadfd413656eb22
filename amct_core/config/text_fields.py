"""Reads the messages of simplified configurations, with errors that name the place."""

from __future__ import annotations

from typing import Collection, Dict, Iterable, Sequence, Set

from amct_core.errors import ConfigError
from amct_core.textproto import Message


def check_fields(
    message: Message,
    known: Iterable[str],
    file: str,
    where: str,
    repeated: Collection[str] = (),
) -> None:
    """Check which fields ``message`` has, which is the field ``where``.

    Raises:
        ConfigError: one is not ``known``, or is there twice and not ``repeated``; protobuf refuses
            both.
    """
    names = sorted(known)
    seen: Set[str] = set()
    for field in message:
        if field.name not in names:
            raise ConfigError(
                f"line {field.line}: unknown field; expected one of {', '.join(names)}.",
                file=file,
                field=f"{where}.{field.name}" if where else field.name,
                remedy="Remove it.",
            )
        if field.name in seen and field.name not in repeated:
            raise ConfigError(
                f"line {field.line}: it is there twice; expected one value.",
                file=file,
                field=f"{where}.{field.name}" if where else field.name,
                remedy="Remove one of the two.",
            )
        seen.add(field.name)


def required(message: Message, name: str, file: str, where: str = "") -> Message:
    """Return the message called ``name`` in ``message``, which is the field ``where``."""
    found = message.message(name)
    if found is None:
        raise ConfigError(
            f"line {message.line}: it is missing, and required."
            if where
            else "it is missing, and required.",
            file=file,
            field=f"{where}.{name}" if where else name,
            remedy=f"Add '{name} {{ }}'.",
        )
    return found


def named_messages(
    message: Message, field: str, key: str, known: Iterable[str], file: str
) -> Dict[str, Message]:
    """Return the messages of a repeated field by what the string ``key`` of each says.

    Args:
        message: what holds them.
        field: the repeated field.
        key: the required field that tells them apart.
        known: the other fields that they may have.
        file: for messages.

    Raises:
        ConfigError: one has no name, an unknown field, or the name of another.
    """
    found: Dict[str, Message] = {}
    for entry in message.messages(field):
        check_fields(entry, (key, *known), file, field)
        name = entry.string(key)
        if not name:
            raise ConfigError(
                f"line {entry.line}: it is missing.", file=file, field=f"{field}.{key}"
            )
        check_not_repeated((*found, name), file, f"{field}.{key}")
        found[name] = entry
    return found


def check_not_repeated(names: Sequence[str], file: str, field: str) -> None:
    """Raise if a name is there twice."""
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            raise ConfigError(
                f"'{name}' is there twice.",
                file=file,
                field=field,
                remedy=f"Please delete repeated items in {field}.",
            )
