"""A text tree in protobuf's binary format."""

from __future__ import annotations

import logging
from typing import Any, Callable, Dict, FrozenSet, List

from google.protobuf.descriptor import FieldDescriptor

from amct_caffe.model.schema.fields import enum_values, is_repeated
from amct_caffe.model.schema.pool import message_class
from amct_core.textproto import Message

_log = logging.getLogger("amct_caffe.model.schema")

_GETTERS: Dict[int, Callable[[Message, str], List[Any]]] = {
    FieldDescriptor.TYPE_DOUBLE: Message.numbers,
    FieldDescriptor.TYPE_FLOAT: Message.numbers,
    FieldDescriptor.TYPE_INT64: Message.integers,
    FieldDescriptor.TYPE_UINT64: Message.integers,
    FieldDescriptor.TYPE_INT32: Message.integers,
    FieldDescriptor.TYPE_UINT32: Message.integers,
    FieldDescriptor.TYPE_BOOL: Message.booleans,
    FieldDescriptor.TYPE_STRING: Message.strings,
    FieldDescriptor.TYPE_BYTES: Message.blobs,
}


def encode(
    message: Message,
    type_name: str,
    leave_out: FrozenSet[str] = frozenset(),
) -> bytes:
    """Return ``message`` in binary format, fields in order of their numbers.

    Fields and enum values that the schema does not know have no number and stay in the prototxt
    alone.

    Args:
        message: a tree that :func:`amct_caffe.model.schema.validation.validate` accepts.
        type_name: its type in the schema.
        leave_out: fields (of the outermost message) that are not written.

    Raises:
        FileFormatError: a value has another type than the schema says.
    """
    proto = message_class(type_name)()
    _fill(proto, message, leave_out)
    encoded: bytes = proto.SerializePartialToString(deterministic=True)
    return encoded


def _fill(proto: Any, message: Message, leave_out: FrozenSet[str] = frozenset()) -> None:
    for name in dict.fromkeys(entry.name for entry in message):
        if name in leave_out:
            continue
        field = proto.DESCRIPTOR.fields_by_name.get(name)
        if field is None:
            kind = proto.DESCRIPTOR.name
            _log.debug("field '%s' of %s has no number and is not encoded", name, kind)
        elif field.message_type is not None:
            _fill_messages(proto, message, field)
        else:
            values = _values(message, field)
            if is_repeated(field):
                getattr(proto, name).extend(values)
            elif values:
                setattr(proto, name, values[-1])


def _fill_messages(proto: Any, message: Message, field: FieldDescriptor) -> None:
    for inner in message.messages(field.name):
        target = getattr(proto, field.name)
        if is_repeated(field):
            target = target.add()
        else:
            target.SetInParent()
        _fill(target, inner)


def _values(message: Message, field: FieldDescriptor) -> List[Any]:
    if field.enum_type is None:
        return _GETTERS[field.type](message, field.name)
    numbers = enum_values(field)
    named = {str(number): number for number in numbers.values()}
    known = {**numbers, **named}
    return [known[text] for text in message.enums(field.name) if text in known]
