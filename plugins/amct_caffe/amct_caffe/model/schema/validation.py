"""Checks a text tree against the schema, as Caffe would when it reads the file.

Fields and enum values that the schema does not know are left alone: other Caffes have layers and
engines of their own.  Whoever needs such a value (``Parameters.enum``) refuses it.
"""

from __future__ import annotations

import logging
from typing import Callable, Dict, List, Optional, Set, Tuple

import attrs
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from amct_caffe.model.schema.fields import enum_values, is_repeated
from amct_caffe.model.schema.pool import message_descriptor
from amct_core.errors import FileFormatError
from amct_core.textproto import Field, Message, Scalar

_log = logging.getLogger("amct_caffe.model.schema")

_NEEDED_ENUMS = frozenset({"NetState", "NetStateRule", "SolverParameter", "V1LayerParameter"})
"""Messages whose enum values are always needed."""

_LAYER_TYPES = frozenset({"LayerParameter", "V1LayerParameter"})
_EXPECTED = {
    FieldDescriptor.TYPE_DOUBLE: "a number",
    FieldDescriptor.TYPE_FLOAT: "a number",
    FieldDescriptor.TYPE_INT64: "an integer",
    FieldDescriptor.TYPE_UINT64: "a non-negative integer",
    FieldDescriptor.TYPE_INT32: "a 32-bit integer",
    FieldDescriptor.TYPE_UINT32: "a non-negative 32-bit integer",
    FieldDescriptor.TYPE_BOOL: "true or false",
    FieldDescriptor.TYPE_STRING: "a string in quotes",
    FieldDescriptor.TYPE_BYTES: "a string in quotes",
}
_INTEGER_RANGES: Dict[int, Tuple[int, int]] = {
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
}
_READERS: Dict[int, Callable[[Message, str], object]] = {
    FieldDescriptor.TYPE_DOUBLE: Message.numbers,
    FieldDescriptor.TYPE_FLOAT: Message.numbers,
    FieldDescriptor.TYPE_BOOL: Message.booleans,
    FieldDescriptor.TYPE_STRING: Message.strings,
    FieldDescriptor.TYPE_BYTES: Message.blobs,
}


def validate(message: Message, type_name: str, file: Optional[str] = None) -> None:
    """Check that every field of ``message`` that the schema knows has a value of its type.

    1. Numbers, strings, booleans and enum values are what they should be, integers in range.  An
       enum value of another Caffe passes, except in solvers, rules and old layers' types.
    2. A message stands where a message belongs, a scalar where a scalar belongs.
    3. A field that is not repeated occurs once.

    Args:
        message: the tree, as read from a file.
        type_name: its type in the schema, such as ``NetParameter``.
        file: its name, for messages.

    Raises:
        FileFormatError: naming file, line, layer and field, what was found and what was expected.
    """
    _validate(message, message_descriptor(type_name), _Place(file))


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

    def inside(self, entry: Field, message: Message, descriptor: Descriptor) -> _Place:
        if descriptor.name in _LAYER_TYPES:
            return _Place(self.file, _name_of(message))
        return attrs.evolve(self, path=f"{self.path}{entry.name}.")


def _name_of(layer: Message) -> str:
    names = [v.text.strip("\"'") for v in layer.fields("name") if isinstance(v, Scalar)]
    return names[-1] if names else ""


def _validate(message: Message, descriptor: Descriptor, place: _Place) -> None:
    seen: Set[str] = set()
    for entry in message:
        field = descriptor.fields_by_name.get(entry.name)
        if field is None:
            _log.debug("unknown field '%s%s' (line %d)", place.path, entry.name, entry.line)
            continue
        if entry.name in seen and not is_repeated(field):
            raise place.error(
                entry, "a second value", "one, because the field is not repeated", "Remove one."
            )
        seen.add(entry.name)
        inner = field.message_type
        if inner is not None:
            if not isinstance(entry.value, Message):
                raise place.error(entry, entry.value.text, "a message in braces")
            _validate(entry.value, inner, place.inside(entry, entry.value, inner))
        elif isinstance(entry.value, Message):
            raise place.error(entry, "a message in braces", _expected(field))
        else:
            _check_scalar(entry, entry.value, field, place)


def _check_scalar(entry: Field, value: Scalar, field: FieldDescriptor, place: _Place) -> None:
    if field.enum_type is not None:
        fits = value.kind != "string" and _is_enum_value(value.text, field)
        if not fits and _is_of_another_caffe(value, field):
            _log.debug(
                "unknown value %s of '%s%s' (line %d)",
                value.text,
                place.path,
                entry.name,
                entry.line,
            )
            return
    elif field.type in _INTEGER_RANGES:
        fits = _is_integer(entry, *_INTEGER_RANGES[field.type])
    else:
        fits = _is_readable(entry, _READERS[field.type])
    if not fits:
        raise place.error(entry, value.text, _expected(field))


def _is_enum_value(text: str, field: FieldDescriptor) -> bool:
    values = enum_values(field)
    return text in values or (text.lstrip("-").isdigit() and int(text) in values.values())


def _is_of_another_caffe(value: Scalar, field: FieldDescriptor) -> bool:
    whole = value.kind == "identifier" or value.text.lstrip("-").isdigit()
    return whole and field.containing_type.name not in _NEEDED_ENUMS


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


def _expected(field: FieldDescriptor) -> str:
    if field.enum_type is not None:
        return f"one of {', '.join(enum_values(field))}"
    return _EXPECTED[field.type]
