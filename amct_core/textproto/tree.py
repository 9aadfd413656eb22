"""The tree: messages of ordered fields, whose values are scalars or messages."""

from __future__ import annotations

import numbers
from typing import Any, Callable, Iterator, List, Optional, TypeVar, Union

import attrs
import numpy as np

from amct_core.errors import FileFormatError
from amct_core.textproto.scalars import Scalar, as_bytes, as_text, decode_bytes, float_text, quoted

Value = Union[Scalar, "Message"]
T = TypeVar("T")

_TRUE = frozenset({"true", "True", "t", "1"})
_FALSE = frozenset({"false", "False", "f", "0"})
_MAX_DIGITS = 100  # 64 bits have 22 octal ones; converting more takes quadratic time


class Identifier(str):
    """A string to be written without quotes: the name of an enum value."""


@attrs.define
class Field:
    """One ``name: value`` or ``name { ... }``."""

    name: str
    value: Value
    line: int = attrs.field(default=0, eq=False)


@attrs.define
class Message:
    """An ordered list of fields; the same name may occur many times.

    Getters return the last occurrence of a field, as protobuf does for fields that are not
    repeated; their plural forms return all.  They raise a FileFormatError that names the file, the
    line and the field if a value is of another kind.
    """

    entries: List[Field] = attrs.field(factory=list)
    line: int = attrs.field(default=0, eq=False)
    file: Optional[str] = attrs.field(default=None, eq=False)

    def has(self, name: str) -> bool:
        """Return whether a field called ``name`` is there."""
        return any(entry.name == name for entry in self.entries)

    def fields(self, name: str) -> List[Value]:
        """Return the values of every field called ``name``, in order."""
        return [entry.value for entry in self.entries if entry.name == name]

    def strings(self, name: str) -> List[str]:
        """Return the values of a repeated string field."""
        return self._all(name, self._string, "a quoted string")

    def string(self, name: str, default: Optional[str] = None) -> Optional[str]:
        """Return the value of a string field, or ``default``."""
        return self._last(self.strings(name), default)

    def blobs(self, name: str) -> List[bytes]:
        """Return the values of a repeated bytes field."""
        return self._all(name, decode_bytes, "a quoted string")

    def integers(self, name: str) -> List[int]:
        """Return the values of a repeated integer field."""
        return self._all(name, self._integer, "an integer")

    def integer(self, name: str, default: Optional[int] = None) -> Optional[int]:
        """Return the value of an integer field, or ``default``."""
        return self._last(self.integers(name), default)

    def numbers(self, name: str) -> List[float]:
        """Return the values of a repeated float field."""
        return self._all(name, self._number, "a number")

    def number(self, name: str, default: Optional[float] = None) -> Optional[float]:
        """Return the value of a float field, or ``default``."""
        return self._last(self.numbers(name), default)

    def booleans(self, name: str) -> List[bool]:
        """Return the values of a repeated boolean field."""
        return self._all(name, self._boolean, "true or false")

    def boolean(self, name: str, default: Optional[bool] = None) -> Optional[bool]:
        """Return the value of a boolean field, or ``default``."""
        return self._last(self.booleans(name), default)

    def enums(self, name: str) -> List[str]:
        """Return the names (or numbers, as text) of a repeated enum field."""
        return self._all(name, self._enum, "the name of an enum value")

    def enum(self, name: str, default: Optional[str] = None) -> Optional[str]:
        """Return the name of an enum field's value, or ``default``."""
        return self._last(self.enums(name), default)

    def messages(self, name: str) -> List[Message]:
        """Return every message called ``name``."""
        found = []
        for entry in self.entries:
            if entry.name == name:
                if not isinstance(entry.value, Message):
                    raise self._wrong(entry, "a message in braces")
                found.append(entry.value)
        return found

    def message(self, name: str) -> Optional[Message]:
        """Return the message called ``name``, or None."""
        return self._last(self.messages(name), None)

    def set(self, name: str, value: Any) -> None:
        """Give the field ``name`` one value: in place of its first occurrence, or at the end."""
        new = Field(name, to_value(value))
        for index, entry in enumerate(self.entries):
            if entry.name == name:
                rest = [e for e in self.entries[index + 1 :] if e.name != name]
                self.entries[index:] = [new, *rest]
                return
        self.entries.append(new)

    def set_all(self, name: str, values: List[Any]) -> None:
        """Give the repeated field ``name`` these values, where its first occurrence was."""
        place = next((i for i, e in enumerate(self.entries) if e.name == name), len(self.entries))
        new = [Field(name, to_value(value)) for value in values]
        rest = [entry for entry in self.entries[place:] if entry.name != name]
        self.entries[place:] = new + rest

    def add(self, name: str, value: Any) -> None:
        """Append one more value to the field ``name``."""
        self.entries.append(Field(name, to_value(value)))

    def remove(self, name: str) -> None:
        """Drop every field called ``name``."""
        self.entries = [entry for entry in self.entries if entry.name != name]

    def copy(self) -> Message:
        """Return a deep copy."""
        entries = [
            Field(e.name, e.value.copy() if isinstance(e.value, Message) else e.value, e.line)
            for e in self.entries
        ]
        return Message(entries, self.line, self.file)

    def __iter__(self) -> Iterator[Field]:
        return iter(self.entries)

    def _all(self, name: str, convert: Callable[[Scalar], T], expected: str) -> List[T]:
        found = []
        for entry in self.entries:
            if entry.name == name:
                if not isinstance(entry.value, Scalar):
                    raise self._wrong(entry, expected)
                try:
                    found.append(convert(entry.value))
                except ValueError:
                    raise self._wrong(entry, expected) from None
        return found

    def _last(self, values: List[T], default: Optional[T]) -> Optional[T]:
        return values[-1] if values else default

    def _wrong(self, entry: Field, expected: str) -> FileFormatError:
        found = "a message" if isinstance(entry.value, Message) else entry.value.text
        return FileFormatError(
            f"line {entry.line}: found {found}; expected {expected}.",
            file=self.file,
            field=entry.name,
        )

    @staticmethod
    def _string(scalar: Scalar) -> str:
        return as_text(decode_bytes(scalar))

    @staticmethod
    def _integer(scalar: Scalar) -> int:
        if scalar.kind != "number":
            raise ValueError
        text = scalar.text.lstrip("-")
        if len(text) > _MAX_DIGITS:
            raise ValueError
        octal = len(text) > 1 and text[0] == "0" and text.isdigit()
        value = int(text, 8) if octal else int(text, 0)
        return -value if scalar.text.startswith("-") else value

    @staticmethod
    def _number(scalar: Scalar) -> float:
        if scalar.kind == "string":
            raise ValueError
        text = scalar.text.lower()
        if text.lstrip("-") in ("inf", "infinity", "nan") or scalar.kind == "number":
            if text.lstrip("-").startswith("0x"):
                if len(text) > _MAX_DIGITS:
                    raise ValueError
                return float(int(text, 16))
            return float(text[:-1] if text.endswith("f") and "inf" not in text else text)
        raise ValueError

    @staticmethod
    def _boolean(scalar: Scalar) -> bool:
        if scalar.kind != "string" and scalar.text in _TRUE:
            return True
        if scalar.kind != "string" and scalar.text in _FALSE:
            return False
        raise ValueError

    @staticmethod
    def _enum(scalar: Scalar) -> str:
        return as_text(decode_bytes(scalar)) if scalar.kind == "string" else scalar.text


def to_value(value: Any) -> Value:
    """Return a Python value as a tree value.

    bool gives ``true`` or ``false``, str a quoted string, :class:`Identifier` a bare word, bytes a
    quoted string, a float its shortest form that is the same float32 (see ``float_text``).
    """
    if isinstance(value, (Message, Scalar)):
        return value
    if isinstance(value, (bool, np.bool_)):
        return Scalar("true" if value else "false", "identifier")
    if isinstance(value, Identifier):
        return Scalar(str(value), "identifier")
    if isinstance(value, str):
        return Scalar(quoted(as_bytes(value)), "string")
    if isinstance(value, bytes):
        return Scalar(quoted(value), "string")
    if isinstance(value, numbers.Integral):
        return Scalar(str(int(value)), "number")
    if isinstance(value, numbers.Real):
        text = float_text(float(value))
        return Scalar(text, "identifier" if text.lstrip("-") in ("inf", "nan") else "number")
    raise TypeError(f"{value!r} cannot be written in text format")
