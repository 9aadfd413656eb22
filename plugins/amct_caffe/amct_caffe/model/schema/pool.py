"""Protobuf's descriptors and classes of Caffe's messages, in descriptor pools of their own.

Protobuf registers generated classes in one pool per process and refuses a second definition of the
same name, so importing another ``caffe_pb2`` beside Caffe's own ends in an error.  A private pool
has no such neighbours.  Works with protobuf 3.20 and every later version.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool

CAFFE = "caffe"
"""The dialect of BVLC Caffe: the numbers that Caffe reads and writes."""

ASCEND = "ascend"
"""The dialect of Ascend's tools, which number a few fields of Caffe's messages differently."""

_FILE = Path(__file__).with_name("caffe.desc")
_PACKAGE = "amct_caffe"


@cache
def message_descriptor(name: str, dialect: str = CAFFE) -> Descriptor:
    """Return the descriptor of a message such as ``LayerParameter``.

    Args:
        name: of the message; dotted where nested.
        dialect: ``CAFFE`` or ``ASCEND``: whose field numbers it has.

    Raises:
        KeyError: the schema has no such message.
    """
    descriptor: Descriptor = _pool(dialect).FindMessageTypeByName(f"{_PACKAGE}.{name}")
    return descriptor


@cache
def message_class(name: str, dialect: str = CAFFE) -> Any:
    """Return the class of a message; arguments and errors as :func:`message_descriptor`."""
    descriptor = message_descriptor(name, dialect)
    factory: Any = message_factory
    if hasattr(factory, "GetMessageClass"):
        return factory.GetMessageClass(descriptor)
    return factory.MessageFactory().GetPrototype(descriptor)  # before protobuf 4.22


@cache
def _pool(dialect: str) -> Any:
    caffe, ascend = descriptor_pb2.FileDescriptorSet.FromString(_FILE.read_bytes()).file
    if dialect == ASCEND:
        messages = {message.name: message for message in caffe.message_type}
        for message in ascend.message_type:
            numbers = {field.name: field.number for field in message.field}
            for field in messages[message.name].field:
                field.number = numbers.get(field.name, field.number)
    pool: Any = DescriptorPool()
    pool.AddSerializedFile(caffe.SerializeToString())
    return pool
