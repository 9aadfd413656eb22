"""What is asked about the fields of Caffe's messages, answered from protobuf's descriptors."""

from __future__ import annotations

from functools import cache
from typing import Any, Dict, Mapping

from google.protobuf.descriptor import FieldDescriptor

from amct_caffe.model.schema.pool import message_descriptor
from amct_core.textproto.scalars import float_text


def field_number(message: str, name: str) -> int:
    """Return a field's number.

    Raises:
        KeyError: the schema does not know the field.
    """
    number: int = message_descriptor(message).fields_by_name[name].number
    return number


@cache
def field_names(message: str) -> Mapping[int, str]:
    """Return the names of a message's fields by their numbers.

    Raises:
        KeyError: the schema has no such message.
    """
    return {field.number: field.name for field in message_descriptor(message).fields}


def is_repeated(field: FieldDescriptor) -> bool:
    """Return whether a field may occur more than once."""
    if hasattr(field, "is_repeated"):
        return bool(field.is_repeated)
    return bool(field.label == FieldDescriptor.LABEL_REPEATED)  # older protobufs


def enum_values(field: FieldDescriptor) -> Dict[str, int]:
    """Return names and numbers of an enum field's values, in the order of caffe.proto."""
    return {value.name: value.number for value in field.enum_type.values}


def enum_name(field: FieldDescriptor, text: str) -> str:
    """Return the name of an enum value that a file gives as ``text``: by its name or its number.

    It is ``text`` itself if there is no such number.
    """
    return next((name for name, n in enum_values(field).items() if str(n) == text), text)


def default_value(field: FieldDescriptor) -> Any:
    """Return the default that caffe.proto gives a field, or None.

    A float's is the number that the file writes, such as 0.999, and not the nearest float32, since
    that is what a layer has that gives the same number itself.
    """
    if not field.has_default_value:
        return None
    if field.type == FieldDescriptor.TYPE_FLOAT:
        return float(float_text(field.default_value))
    return field.default_value
