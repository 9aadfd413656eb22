"""Reads and writes record files.

Format: text form of the message ``ScaleOffsetRecord { repeated MapFiledEntry record = 1 }`` of AMCT
(Caffe), whose entries hold ``key`` and ``value``.  Floats have 6 digits if these give the float32
exactly, else 9, as in the files that AMCT writes.
"""

from __future__ import annotations

import functools
import os
from typing import Any, Callable, Dict, List, Optional, Tuple

from amct_core.errors import AmctError, RecordError
from amct_core.files import read_text, write_atomically
from amct_core.record.model import LayerRecord, Record
from amct_core.textproto import Message, format_message, parse

_REPEATED = ("scale_w", "offset_w", "shift_bit")
_FIELDS = (
    "scale_d",
    "offset_d",
    "scale_w",
    "offset_w",
    "shift_bit",
    "channels",
    "height",
    "width",
    "skip_fusion",
)


def read(path: str) -> Record:
    """Read a record file.

    Raises:
        RecordError: the file is missing, a layer is repeated, a field is unknown or out of range.
        FileFormatError: the file is not in text format, or a value has the wrong type.
    """
    if not os.path.isfile(path):
        raise RecordError(
            "there is no such record file.",
            file=path,
            remedy="Check the path, or begin again: the step before training or calibration makes "
            "the record, and they fill it.",
        )
    text = read_text(path)
    try:
        entries = [entry for part in _parts(text) for entry in _entries(part, path)]
        if len({name for name, _ in entries}) == len(entries):
            return Record(dict(entries))
    except AmctError:
        pass  # the whole file tells the line
    return Record(_entries_of_file(text, path))


def _parts(text: str) -> List[str]:
    """Split ``text`` behind each closing brace at the beginning of a line.

    If every part is a sequence of whole fields, the file is their sequence.
    """
    return text.replace("\n}\n", "\n}\n\0").split("\0")


@functools.lru_cache(maxsize=4096)
def _entries(text: str, path: str) -> Tuple[Tuple[str, LayerRecord], ...]:
    """Return the entries that ``text`` holds; training reads the same ones time and again."""
    return tuple(_entries_of_file(text, path).items())


def _entries_of_file(text: str, path: str) -> Dict[str, LayerRecord]:
    layers: Dict[str, LayerRecord] = {}
    for field in parse(text, path):
        if field.name != "record" or not isinstance(field.value, Message):
            raise _unknown_field(path, field.name, field.line, "record")
        name, entry = _entry(path, field.value)
        if name in layers:
            raise RecordError(
                f"line {field.line}: a second entry for this layer; expected one.",
                file=path,
                layer=name,
                field="record",
                remedy="Remove one of the two entries.",
            )
        layers[name] = entry
    return layers


def _entry(path: str, message: Message) -> tuple[str, LayerRecord]:
    for field in message:
        if field.name not in ("key", "value"):
            raise _unknown_field(path, field.name, field.line, "key, value")
    name = message.string("key")
    if not name:
        raise RecordError(
            f"line {message.line}: an entry without a layer name.",
            file=path,
            field="key",
            remedy="Give each entry the name of its layer.",
        )
    value = message.message("value")
    entry = LayerRecord() if value is None else _layer(path, value)
    problem = entry.problem()
    if problem is not None:
        raise RecordError(
            problem[1],
            file=path,
            layer=name,
            field=problem[0],
            remedy="Mend the value, or train or calibrate again.",
        )
    return name, entry


def _layer(path: str, value: Message) -> LayerRecord:
    for field in value:
        if field.name not in _FIELDS:
            raise _unknown_field(path, field.name, field.line, ", ".join(_FIELDS))
    return LayerRecord(
        scale_d=value.number("scale_d"),
        offset_d=value.integer("offset_d"),
        scale_w=value.numbers("scale_w"),
        offset_w=value.integers("offset_w"),
        shift_bit=value.integers("shift_bit"),
        channels=value.integer("channels"),
        height=value.integer("height"),
        width=value.integer("width"),
        skip_fusion=value.boolean("skip_fusion"),
    )


def _unknown_field(path: str, name: str, line: int, expected: str) -> RecordError:
    return RecordError(
        f"line {line}: found '{name}'; expected {expected}.",
        file=path,
        field=name,
        remedy="Give a record file, as training or calibration writes it.",
    )


def format_record(record: Record) -> str:
    """Return the text of ``record``."""
    return "".join(_entry_text(name, layer) for name, layer in record.layers.items())


@functools.lru_cache(maxsize=4096)
def _entry_text(name: str, layer: LayerRecord) -> str:
    """Return the text of one entry; each update writes all entries and changes few."""
    value = Message()
    for field in _FIELDS:
        content: Any = getattr(layer, field)
        for item in content if field in _REPEATED else [content]:
            if item is not None:
                value.add(field, item)
    entry = Message()
    entry.add("key", name)
    entry.add("value", value)
    message = Message()
    message.add("record", entry)
    return format_message(message)


def write(path: str, record: Record) -> None:
    """Write ``record``; a reader sees the old file or the new one."""
    write_atomically(path, format_record(record))


def update(path: str, change: Callable[[Record], Record]) -> None:
    """Replace the record in ``path`` by ``change`` of it, in one atomic step.

    Raises:
        RecordError: the file is missing or not a record; nothing is written then.
    """
    before: Optional[Record] = read(path)
    assert before is not None
    write(path, change(before))
