"""Protobuf's wire format: just enough to find fields in a buffer and to write them.

A caffemodel is hundreds of megabytes of packed floats inside a few thousand small fields.  Walking the
fields and viewing the floats where they lie needs no copy; a parsed message would need several.

Source of the format: protobuf's encoding documentation.
"""

from __future__ import annotations

from typing import Any, Iterator, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import FileFormatError

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5


@attrs.frozen
class WireField:
    """One field: its number, wire type and value.

    ``value`` is the integer of a VARINT; otherwise ``start`` and ``end`` delimit the contents.
    """

    number: int
    wire_type: int
    value: int
    start: int
    end: int


def fields(data: Any, start: int, end: int, file: str) -> Iterator[WireField]:
    """Yield the fields of the message in ``data[start:end]``.

    Args:
        data: a buffer indexed by bytes.
        start, end: where the message lies.
        file: for messages.

    Raises:
        FileFormatError: the bytes are not a message, or end too early.
    """
    position = start
    while position < end:
        at = position
        key, position = _varint(data, position, end, file)
        number, wire_type = key >> 3, key & 7
        value, first, last = 0, position, position
        if wire_type == VARINT:
            value, position = _varint(data, position, end, file)
        elif wire_type == LENGTH:
            length, first = _varint(data, position, end, file)
            last = position = first + length
        elif wire_type in (FIXED32, FIXED64):
            last = position = first + (4 if wire_type == FIXED32 else 8)
        else:
            raise _damaged(file, at, f"found wire type {wire_type}; expected 0, 1, 2 or 5")
        if number == 0:
            raise _damaged(file, at, "found field number 0")
        if position > end:
            raise _damaged(file, at, f"field {number} ends {position - end} bytes too late")
        yield WireField(number, wire_type, value, first, last)


def _varint(data: Any, position: int, end: int, file: str) -> Tuple[int, int]:
    result = shift = 0
    while True:
        if position >= end:
            raise _damaged(file, position, "an integer is cut off")
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
        shift += 7
        if shift > 63:
            raise _damaged(file, position, "an integer is longer than 10 bytes")


def _damaged(file: str, position: int, what: str) -> FileFormatError:
    return FileFormatError(
        f"byte {position}: {what}; the file is truncated, or not a caffemodel.",
        file=file,
        remedy="Copy or download the file again.",
    )


def packed_varints(data: Any, start: int, end: int) -> NDArray[np.uint64]:
    """Return the packed varints of ``data[start:end]``."""
    raw = np.frombuffer(data, np.uint8, end - start, start)
    last = raw < 0x80
    if not raw.size:
        return np.zeros(0, np.uint64)
    group = np.concatenate(([0], np.cumsum(last)[:-1]))
    first = np.concatenate(([0], np.flatnonzero(last)[:-1] + 1))
    place = (np.arange(raw.size) - first[group]).astype(np.uint64)
    parts = (raw & 0x7F).astype(np.uint64) << (np.uint64(7) * place)
    return np.add.reduceat(parts, first)


def encode_varint(value: int) -> bytes:
    """Return ``value`` (0 or above, below 2**64) as a varint."""
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def encode_varints(values: NDArray[Any]) -> bytes:
    """Return integers as packed varints; negative ones as 64-bit two's complement."""
    rest = np.asarray(values).reshape(-1).astype(np.int64).astype(np.uint64)
    if not rest.size:
        return b""
    columns = []
    for _ in range(10):
        columns.append(rest)
        rest = rest >> np.uint64(7)
    groups = np.stack(columns, axis=1)
    lengths = np.maximum(1, (groups != 0).sum(axis=1))
    used = np.arange(10) < lengths[:, None]
    more = np.arange(10) < (lengths[:, None] - 1)
    encoded = (groups & np.uint64(0x7F)).astype(np.uint8) | np.where(more, 0x80, 0).astype(np.uint8)
    return bytes(encoded[used].tobytes())


def key(number: int, wire_type: int) -> bytes:
    """Return the key of a field."""
    return encode_varint(number << 3 | wire_type)


def length_delimited(number: int, contents: bytes) -> bytes:
    """Return a field of strings, bytes or messages."""
    return key(number, LENGTH) + encode_varint(len(contents)) + contents
