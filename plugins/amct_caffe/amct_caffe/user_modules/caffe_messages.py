"""Puts Ascend's fields into the messages of the user's own ``caffe_pb2``.

Protobuf does not change a message once it is defined.  So a second descriptor pool gets the
definitions of the user's ``caffe.proto``, taken from its compiled form, with the fields added, and
the classes of that pool take the place of the module's own.  They read and write the same bytes.
"""

from __future__ import annotations

import logging
from types import ModuleType
from typing import Any, Dict, Iterator, Mapping, Set, Tuple

from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.internal import enum_type_wrapper

from amct_caffe.model.schema.pool import message_descriptor

_log = logging.getLogger("amct_caffe.user_modules")

ASCENDS_FIELDS: Mapping[str, Tuple[str, ...]] = {
    "BlobProto": ("int8_data", "int32_data", "uint64_data"),
    "LayerParameter": (
        "quant_param",
        "dequant_param",
        "ifmr_param",
        "lstm_quant_param",
        "search_n_param",
        "retrain_data_quant_param",
        "retrain_weight_quant_param",
        "lstm_calibration_param",
    ),
}
"""What Ascend's ``caffe.proto`` has beside BVLC's, by message."""


def add_ascends_fields(caffe_pb2: Any) -> None:
    """Give the messages of ``caffe_pb2`` Ascend's fields, as far as it lacks them.

    A field whose number another Caffe uses for something else is left out, with a warning.
    Messages that were made before keep their classes and do not know the fields.

    Args:
        caffe_pb2: the module that protobuf's compiler made of a ``caffe.proto``; it is changed.
    """
    definition = descriptor_pb2.FileDescriptorProto.FromString(caffe_pb2.DESCRIPTOR.serialized_pb)
    if not _extend(definition):
        return
    pool: Any = DescriptorPool()
    pool.AddSerializedFile(definition.SerializeToString())
    file = pool.FindFileByName(definition.name)
    _replace(caffe_pb2, file, _Classes(pool))
    caffe_pb2.DESCRIPTOR = file


def _extend(definition: Any) -> bool:
    """Add the missing fields and the messages that they need; return whether there were any."""
    messages = {message.name: message for message in definition.message_type}
    added = False
    for name, fields in ASCENDS_FIELDS.items():
        message = messages.get(name)
        if message is None:
            continue
        for field in fields:
            added |= _add_field(definition, messages, message, field)
    return added


def _add_field(definition: Any, messages: Dict[str, Any], message: Any, name: str) -> bool:
    ours = message_descriptor(message.name).fields_by_name[name]
    if any(field.name == name for field in message.field):
        return False
    taken = next((field.name for field in message.field if field.number == ours.number), None)
    if taken is not None:
        _log.warning(
            "caffe_pb2 gets no field '%s' of %s: this Caffe uses its number, %d, for '%s'",
            name,
            message.name,
            ours.number,
            taken,
        )
        return False
    new = message.field.add()
    _proto_of(ours.containing_type, name, new)
    if ours.message_type is not None:
        new.type_name = f".{definition.package}.{ours.message_type.name}"
        _add_message(definition, messages, ours.message_type)
    return True


def _proto_of(descriptor: Any, name: str, target: Any) -> None:
    """Copy the definition of field ``name`` of ``descriptor`` to ``target``."""
    own = descriptor_pb2.DescriptorProto()
    descriptor.CopyToProto(own)
    target.CopyFrom(next(field for field in own.field if field.name == name))


def _add_message(definition: Any, messages: Dict[str, Any], descriptor: Any) -> None:
    """Add a message, with those of its own fields, if there is none of its name."""
    if descriptor.name in messages:
        return
    message = definition.message_type.add()
    descriptor.CopyToProto(message)
    messages[descriptor.name] = message
    package = descriptor.file.package
    for field in message.field:
        if field.type_name:
            field.type_name = field.type_name.replace(f".{package}.", f".{definition.package}.", 1)
    for field in descriptor.fields:
        inner = field.message_type
        if inner is not None and inner.containing_type is None:
            _add_message(definition, messages, inner)


class _Classes:
    """Makes the classes of a pool's messages.  protobuf 4.22 has a function for that."""

    def __init__(self, pool: Any) -> None:
        factory: Any = message_factory
        self._make = getattr(factory, "GetMessageClass", None)
        if self._make is None:
            self._make = factory.MessageFactory(pool).GetPrototype

    def of(self, descriptor: Any, module: str, qualified_name: str) -> Any:
        """Return the class of a message, which pickle finds under that name."""
        made: Any = self._make(descriptor)  # type: ignore[misc]
        made.__module__, made.__qualname__ = module, qualified_name
        for nested in descriptor.nested_types:
            setattr(made, nested.name, self.of(nested, module, f"{qualified_name}.{nested.name}"))
        return made


def _replace(module: ModuleType, file: Any, classes: _Classes) -> None:
    """Put the classes, enums and descriptors of ``file`` into ``module``, private names too."""
    for name, descriptor in file.message_types_by_name.items():
        setattr(module, name, classes.of(descriptor, module.__name__, name))
    for name, descriptor in file.enum_types_by_name.items():
        setattr(module, name, enum_type_wrapper.EnumTypeWrapper(descriptor))
    private: Set[str] = {name for name in vars(module) if name.startswith("_")}
    for path, descriptor in _descriptors(file):
        name = f"_{'_'.join(path).upper()}"
        if name in private:
            setattr(module, name, descriptor)


def _descriptors(file: Any) -> Iterator[Tuple[Tuple[str, ...], Any]]:
    """Yield each message's and enum's descriptor with its name and those around it."""
    for descriptor in file.enum_types_by_name.values():
        yield (descriptor.name,), descriptor
    for descriptor in file.message_types_by_name.values():
        yield from _nested(descriptor, (descriptor.name,))


def _nested(descriptor: Any, path: Tuple[str, ...]) -> Iterator[Tuple[Tuple[str, ...], Any]]:
    yield path, descriptor
    for enum in descriptor.enum_types:
        yield (*path, enum.name), enum
    for nested in descriptor.nested_types:
        yield from _nested(nested, (*path, nested.name))
