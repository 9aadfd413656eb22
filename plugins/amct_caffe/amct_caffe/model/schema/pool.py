"""Protobuf's descriptors and classes of Caffe's messages, in a descriptor pool of their own.

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

_FILES = ("caffe.desc", "other_caffes.desc")
_PACKAGE = "amct_caffe"


@cache
def message_descriptor(name: str) -> Descriptor:
    """Return the descriptor of a message such as ``LayerParameter``; nested ones are dotted.

    Raises:
        KeyError: the schema has no such message.
    """
    descriptor: Descriptor = _pool().FindMessageTypeByName(f"{_PACKAGE}.{name}")
    return descriptor


@cache
def message_class(name: str) -> Any:
    """Return the class of a message; arguments and errors as :func:`message_descriptor`."""
    descriptor = message_descriptor(name)
    factory: Any = message_factory
    if hasattr(factory, "GetMessageClass"):
        return factory.GetMessageClass(descriptor)
    return factory.MessageFactory().GetPrototype(descriptor)  # before protobuf 4.22


@cache
def _pool() -> Any:
    pool: Any = DescriptorPool()
    for name in _FILES:
        compiled = Path(__file__).with_name(name).read_bytes()
        (file,) = descriptor_pb2.FileDescriptorSet.FromString(compiled).file
        pool.AddSerializedFile(file.SerializeToString())
    return pool
