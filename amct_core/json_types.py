"""Checks that JSON values are of the types that the fields of a data class say."""

from __future__ import annotations

import collections.abc
from typing import Any, Type, Union, get_args, get_origin, get_type_hints

import attrs


def is_number(value: Any) -> bool:
    """Return whether ``value`` is a number in JSON, which a boolean is not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_types(values: Any, kind: Type[Any]) -> None:
    """Check that ``values`` are fields of the attrs class ``kind``, each of its type.

    A list stands for a tuple, an object for a mapping or another attrs class, an integer for a
    float.  Whether all fields are there is the class's own business.

    Raises:
        TypeError: they are no object, a field is unknown, or a value is of another type.
    """
    if not isinstance(values, dict):
        raise TypeError(f"it is a {type(values).__name__}; expected an object")
    hints = get_type_hints(kind)
    for name, value in values.items():
        if name not in hints:
            raise TypeError(f"there is no field {name!r}")
        if not fits(value, hints[name]):
            raise TypeError(f"{name!r} is {value!r}; expected {words(hints[name])}")


def fits(value: Any, hint: Any) -> bool:
    """Return whether a value of JSON is of the type that ``hint`` says."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin is Union:
        return any(fits(value, each) for each in arguments)
    if origin is tuple:
        if not isinstance(value, list):
            return False
        hints = arguments[:1] * len(value) if arguments[-1] is ... else arguments
        return len(value) == len(hints) and all(map(fits, value, hints))
    if origin is collections.abc.Mapping:
        return isinstance(value, dict) and all(fits(each, arguments[1]) for each in value.values())
    if attrs.has(hint):
        fields = get_type_hints(hint)
        return isinstance(value, dict) and all(
            name in fields and fits(each, fields[name]) for name, each in value.items()
        )
    if hint is float:
        return is_number(value)
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))


def words(hint: Any) -> str:
    """Return a type as messages name it."""
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
