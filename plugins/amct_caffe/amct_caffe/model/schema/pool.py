"""Protobuf message classes of the schema, in a descriptor pool of their own.

Protobuf registers generated classes in one pool per process and refuses a second definition of the
same name, so importing another ``caffe_pb2`` beside Caffe's own ends in an error.  A private pool
has no such neighbours.  Works with protobuf 3.20 and every later version; it is imported when the
first class is asked for.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any, Dict

from amct_caffe.model.schema import fields
from amct_caffe.model.schema.fields import CAFFE, FieldSpec

_PACKAGE = "caffe"
_TYPES = {
    "double": 1,
    "float": 2,
    "int64": 3,
    "uint64": 4,
    "int32": 5,
    "bool": 8,
    "string": 9,
    "message": 11,
    "bytes": 12,
    "uint32": 13,
    "enum": 14,
}
_LABELS = {"optional": 1, "required": 2, "repeated": 3}


@cache
def message_class(name: str, dialect: str = CAFFE) -> Any:
    """Return the protobuf class of a message such as ``LayerParameter``.

    Args:
        name: of the message; dotted where nested.
        dialect: ``fields.CAFFE`` or ``fields.ASCEND``: whose field numbers the binary format has.

    Raises:
        KeyError: the schema has no such message.
    """
    descriptor = _pool(dialect).FindMessageTypeByName(f"{_PACKAGE}.{name}")
    factory = _protobuf("message_factory")
    if hasattr(factory, "GetMessageClass"):
        return factory.GetMessageClass(descriptor)
    return factory.MessageFactory().GetPrototype(descriptor)  # before protobuf 4.22


def _protobuf(module: str) -> Any:
    """Import a protobuf module when it is needed: most of what we do needs none."""
    return importlib.import_module(f"google.protobuf.{module}")


@cache
def _pool(dialect: str) -> Any:
    pool = _protobuf("descriptor_pool").DescriptorPool()
    pool.AddSerializedFile(_file(dialect).SerializeToString())
    return pool


def _file(dialect: str) -> Any:
    file = _protobuf("descriptor_pb2").FileDescriptorProto(
        name=f"amct_caffe_{dialect}.proto", package=_PACKAGE, syntax="proto2"
    )
    owners: Dict[str, Any] = {"": file}
    # A nested message sorts behind the one that it is nested in.
    for message in sorted(fields.all_messages()):
        owner, _, name = message.rpartition(".")
        siblings = owners[owner].nested_type if owner else file.message_type
        owners[message] = siblings.add(name=name)
        for spec in fields.fields_of(message).values():
            _add_field(owners[message], message, spec, dialect)
    for enum, values in fields.all_enums().items():
        owner, _, name = enum.rpartition(".")
        added = owners[owner].enum_type.add(name=name)
        for value, number in values.items():
            added.value.add(name=value, number=number)
    return file


def _add_field(descriptor: Any, message: str, spec: FieldSpec, dialect: str) -> None:
    field = descriptor.field.add(
        name=spec.name,
        number=fields.field_number(message, spec.name, dialect),
        label=_LABELS[spec.label],
        type=_TYPES[spec.type],
    )
    if spec.type_name:
        field.type_name = f".{_PACKAGE}.{spec.type_name}"
    if spec.default is not None:
        field.default_value = spec.default
    if spec.packed:
        field.options.packed = True
