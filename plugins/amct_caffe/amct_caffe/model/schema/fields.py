"""Names, numbers and types of the fields of Caffe's messages."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

import attrs

_FILE = Path(__file__).with_name("caffe_schema.json")

CAFFE = "caffe"
"""The dialect of BVLC Caffe: the numbers that Caffe reads and writes."""

ASCEND = "ascend"
"""The dialect of Ascend's tools, which number a few fields of Caffe's messages differently."""


@attrs.frozen
class FieldSpec:
    """One field of a message.

    Attributes:
        name: in text format.
        number: in binary format, in Caffe's dialect.
        label: ``optional``, ``required`` or ``repeated``.
        type: protobuf's scalar type, or ``message`` or ``enum``.
        type_name: the message or enum type, dotted where nested; empty for scalars.
        default: as caffe.proto writes it, or None.
        packed: whether a repeated scalar is written packed.
    """

    name: str
    number: int
    label: str
    type: str
    type_name: str = ""
    default: Optional[str] = None
    packed: bool = False

    @property
    def repeated(self) -> bool:
        """Whether the field may occur more than once."""
        return self.label == "repeated"

    @property
    def enum_values(self) -> Mapping[str, int]:
        """Names and numbers of an enum field's values; empty for other types."""
        return enum_values(self.type_name) if self.type == "enum" else {}


def all_messages() -> Mapping[str, Mapping[str, FieldSpec]]:
    """Return every message of the schema: its fields by name, in order of their numbers."""
    return _schema().messages


def fields_of(message: str) -> Mapping[str, FieldSpec]:
    """Return the fields of a message by name, in order of their numbers.

    Raises:
        KeyError: the schema has no such message.
    """
    return _schema().messages[message]


def find_field(message: str, name: str) -> Optional[FieldSpec]:
    """Return the field ``name`` of a message, or None if the schema does not know it."""
    return _schema().messages.get(message, {}).get(name)


def field_number(message: str, name: str, dialect: str = CAFFE) -> int:
    """Return a field's number in a dialect (``CAFFE`` or ``ASCEND``).

    They differ in one field: ``PoolingParameter.round_mode`` is 13 in Caffe; in Ascend's
    caffe.proto 13 is ``ceil_mode`` and ``round_mode`` is 14.

    Raises:
        KeyError: the schema does not know the field.
    """
    own = fields_of(message)[name].number
    if dialect == ASCEND:
        return _schema().ascend_numbers.get(message, {}).get(name, own)
    return own


def enum_values(enum: str) -> Mapping[str, int]:
    """Return names and numbers of an enum's values.

    Raises:
        KeyError: the schema has no such enum.
    """
    return _schema().enums[enum]


def all_enums() -> Mapping[str, Mapping[str, int]]:
    """Return every enum of the schema, its values by name."""
    return _schema().enums


@attrs.frozen
class _Schema:
    messages: Mapping[str, Mapping[str, FieldSpec]]
    enums: Mapping[str, Mapping[str, int]]
    ascend_numbers: Mapping[str, Mapping[str, int]]


@cache
def _schema() -> _Schema:
    raw: Dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    messages = {
        message: {name: FieldSpec(name=name, **facts) for name, facts in fields.items()}
        for message, fields in raw["messages"].items()
    }
    return _Schema(messages, raw["enums"], raw["ascend_numbers"])
