"""A layer's parameters with Caffe's defaults, which the schema knows."""

from __future__ import annotations

from typing import Callable, List, Optional, TypeVar

from google.protobuf.descriptor import FieldDescriptor

from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.schema.fields import default_value, enum_name, enum_values
from amct_caffe.model.schema.pool import message_descriptor
from amct_core.errors import ModelError
from amct_core.textproto import Message

T = TypeVar("T")


class Parameters:
    """One parameter message of a layer, such as ``convolution_param``.

    Getters return what the layer says or else the default of caffe.proto.  They raise a ModelError
    that names file, line, layer and field where there is neither.

    Args:
        layer: the layer.
        field: the parameter message's field name; it need not be there.
    """

    def __init__(self, layer: Layer, field: str) -> None:
        self.layer = layer
        self.field = field
        self.message = layer.parameters(field)
        parameters = message_descriptor("LayerParameter").fields_by_name[field]
        self._fields = parameters.message_type.fields_by_name

    def has(self, *names: str) -> bool:
        """Return whether the layer gives one of these fields."""
        return any(self.message.has(name) for name in names)

    def integer(self, name: str) -> int:
        """Return an integer."""
        return self._value(name, Message.integer)

    def number(self, name: str) -> float:
        """Return a float."""
        return self._value(name, Message.number)

    def boolean(self, name: str) -> bool:
        """Return a boolean."""
        return self._value(name, Message.boolean)

    def integers(self, name: str) -> List[int]:
        """Return the values of a repeated field."""
        return self.message.integers(name)

    def numbers(self, name: str) -> List[float]:
        """Return the values of a repeated field."""
        return self.message.numbers(name)

    def enum(self, name: str) -> str:
        """Return the name of an enum value, also where the file gives its number.

        Raises:
            ModelError: it is one of another Caffe, whose meaning nobody here knows.
        """
        field: FieldDescriptor = self._fields[name]
        found = enum_name(field, self.message.enum(name) or str(field.default_value))
        known = enum_values(field)
        if found not in known:
            raise self.error(
                name,
                f"found {found}; expected one of {', '.join(known)}.",
                "Write one of these; a value of another Caffe is not known here.",
            )
        return found

    def error(self, field: str, problem: str, remedy: str) -> ModelError:
        """Return an error about the field ``field`` of this message."""
        line = self.message.line or self.layer.message.line
        return ModelError(
            f"line {line}: {problem}" if line else problem,
            file=self.layer.message.file,
            layer=self.layer.name,
            field=f"{self.field}.{field}",
            remedy=remedy,
        )

    def _value(self, name: str, get: Callable[[Message, str], Optional[T]]) -> T:
        value = get(self.message, name)
        if value is None:
            value = default_value(self._fields[name])
        if value is None:
            raise self.error(name, f"it is missing, and {self.layer.type} needs it.", "Add it.")
        return value
