"""Checks a text tree against the schema, as Caffe would when it reads the file.

Fields that the schema does not know are left alone: other Caffes have layers of their own.
"""

from __future__ import annotations

import logging
from typing import Callable, Dict, List, Optional, Set, Tuple

import attrs

from amct_caffe.model.schema import fields
from amct_caffe.model.schema.fields import FieldSpec
from amct_core.errors import FileFormatError
from amct_core.textproto import Field, Message, Scalar

_log = logging.getLogger("amct_caffe.model.schema")

_LAYER_TYPES = frozenset({"LayerParameter", "V1LayerParameter"})
_EXPECTED = {
    "double": "a number",
    "float": "a number",
    "int64": "an integer",
    "uint64": "a non-negative integer",
    "int32": "a 32-bit integer",
    "uint32": "a non-negative 32-bit integer",
    "bool": "true or false",
    "string": "a string in quotes",
    "bytes": "a string in quotes",
}
_INTEGER_RANGES: Dict[str, Tuple[int, int]] = {
    "int64": (-(2**63), 2**63 - 1),
    "uint64": (0, 2**64 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
}
_READERS: Dict[str, Callable[[Message, str], object]] = {
    "double": Message.numbers,
    "float": Message.numbers,
    "bool": Message.booleans,
    "string": Message.strings,
    "bytes": Message.blobs,
}


def validate(message: Message, type_name: str, file: Optional[str] = None) -> None:
    """Check that every field of ``message`` that the schema knows has a value of its type.

    1. Numbers, strings, booleans and enum values are what they should be, integers in range.
    2. A message stands where a message belongs, a scalar where a scalar belongs.
    3. A field that is not repeated occurs once.

    Args:
        message: the tree, as read from a file.
        type_name: its type in the schema, such as ``NetParameter``.
        file: its name, for messages.

    Raises:
        FileFormatError: naming file, line, layer and field, what was found and what was expected.
    """
    _validate(message, type_name, _Place(file))


@attrs.frozen
class _Place:
    """Where in a file we are."""

    file: Optional[str]
    layer: Optional[str] = None
    path: str = ""

    def error(self, entry: Field, found: str, expected: str, remedy: str = "") -> FileFormatError:
        return FileFormatError(
            f"line {entry.line}: found {found}; expected {expected}.",
            file=self.file,
            layer=self.layer,
            field=self.path + entry.name,
            remedy=remedy,
        )

    def inside(self, entry: Field, type_name: str) -> _Place:
        if type_name in _LAYER_TYPES and isinstance(entry.value, Message):
            return _Place(self.file, _name_of(entry.value))
        return attrs.evolve(self, path=f"{self.path}{entry.name}.")


def _name_of(layer: Message) -> str:
    names = [v.text.strip("\"'") for v in layer.fields("name") if isinstance(v, Scalar)]
    return names[-1] if names else ""


def _validate(message: Message, type_name: str, place: _Place) -> None:
    seen: Set[str] = set()
    for entry in message:
        spec = fields.find_field(type_name, entry.name)
        if spec is None:
            _log.debug("unknown field '%s%s' (line %d)", place.path, entry.name, entry.line)
            continue
        if entry.name in seen and not spec.repeated:
            raise place.error(
                entry, "a second value", "one, because the field is not repeated", "Remove one."
            )
        seen.add(entry.name)
        if spec.type == "message":
            if not isinstance(entry.value, Message):
                raise place.error(entry, entry.value.text, "a message in braces")
            _validate(entry.value, spec.type_name, place.inside(entry, spec.type_name))
        elif isinstance(entry.value, Message):
            raise place.error(entry, "a message in braces", _expected(spec))
        else:
            _check_scalar(entry, entry.value, spec, place)


def _check_scalar(entry: Field, value: Scalar, spec: FieldSpec, place: _Place) -> None:
    if spec.type == "enum":
        fits = value.kind != "string" and _is_enum_value(value.text, spec)
    elif spec.type in _INTEGER_RANGES:
        fits = _is_integer(entry, *_INTEGER_RANGES[spec.type])
    else:
        fits = _is_readable(entry, _READERS[spec.type])
    if not fits:
        raise place.error(entry, value.text, _expected(spec))


def _is_enum_value(text: str, spec: FieldSpec) -> bool:
    if text in spec.enum_values:
        return True
    return text.lstrip("-").isdigit() and int(text) in spec.enum_values.values()


def _is_integer(entry: Field, lowest: int, highest: int) -> bool:
    try:
        values: List[int] = Message([entry]).integers(entry.name)
    except FileFormatError:
        return False
    return all(lowest <= value <= highest for value in values)


def _is_readable(entry: Field, read: Callable[[Message, str], object]) -> bool:
    try:
        read(Message([entry]), entry.name)
    except FileFormatError:
        return False
    return True


def _expected(spec: FieldSpec) -> str:
    if spec.type == "enum":
        return f"one of {', '.join(spec.enum_values)}"
    return _EXPECTED.get(spec.type, "a value")
