"""A text tree in protobuf's binary format."""

from __future__ import annotations

import logging
from typing import Any, Callable, Dict, FrozenSet, List

from amct_caffe.model.schema import fields
from amct_caffe.model.schema.fields import CAFFE, FieldSpec
from amct_caffe.model.schema.pool import message_class
from amct_core.textproto import Message

_log = logging.getLogger("amct_caffe.model.schema")

_GETTERS: Dict[str, Callable[[Message, str], List[Any]]] = {
    "double": Message.numbers,
    "float": Message.numbers,
    "int64": Message.integers,
    "uint64": Message.integers,
    "int32": Message.integers,
    "uint32": Message.integers,
    "bool": Message.booleans,
    "string": Message.strings,
    "bytes": Message.blobs,
}


def encode(
    message: Message,
    type_name: str,
    dialect: str = CAFFE,
    leave_out: FrozenSet[str] = frozenset(),
) -> bytes:
    """Return ``message`` in binary format, fields in order of their numbers.

    Fields that the schema does not know have no number and stay in the prototxt alone.

    Args:
        message: a tree that :func:`amct_caffe.model.schema.validation.validate` accepts.
        type_name: its type in the schema.
        dialect: ``fields.CAFFE`` or ``fields.ASCEND``.
        leave_out: fields (of the outermost message) that are not written.

    Raises:
        FileFormatError: a value has another type than the schema says.
    """
    proto = message_class(type_name, dialect)()
    _fill(proto, message, type_name, leave_out)
    encoded: bytes = proto.SerializePartialToString(deterministic=True)
    return encoded


def _fill(proto: Any, message: Message, type_name: str, leave_out: FrozenSet[str]) -> None:
    for name in dict.fromkeys(entry.name for entry in message):
        if name in leave_out:
            continue
        spec = fields.find_field(type_name, name)
        if spec is None:
            _log.debug("field '%s' of %s has no number and is not encoded", name, type_name)
        elif spec.type == "message":
            _fill_messages(proto, message, spec)
        else:
            values = _values(message, spec)
            if spec.repeated:
                getattr(proto, name).extend(values)
            elif values:
                setattr(proto, name, values[-1])


def _fill_messages(proto: Any, message: Message, spec: FieldSpec) -> None:
    for inner in message.messages(spec.name):
        target = getattr(proto, spec.name)
        if spec.repeated:
            target = target.add()
        else:
            target.SetInParent()
        _fill(target, inner, spec.type_name, frozenset())


def _values(message: Message, spec: FieldSpec) -> List[Any]:
    if spec.type != "enum":
        return _GETTERS[spec.type](message, spec.name)
    values = spec.enum_values
    return [values[text] if text in values else int(text, 0) for text in message.enums(spec.name)]
