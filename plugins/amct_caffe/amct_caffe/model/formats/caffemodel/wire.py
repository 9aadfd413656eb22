"""Walks protobuf's binary format without decoding it.

Format: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import mmap
from typing import Any, Iterator, List, NamedTuple, Tuple, Union

import numpy as np
from numpy.typing import NDArray

from amct_core.errors import FileFormatError

Buffer = Union[bytes, bytearray, memoryview, mmap.mmap]

VARINT, FIXED64, LENGTH_DELIMITED, FIXED32 = 0, 1, 2, 5
"""The wire types in use; 3 and 4 (groups) do not occur in Caffe's files."""

_WIDTHS = {FIXED64: 8, FIXED32: 4}
_MAX_VARINT_BYTES = 10


class WireField(NamedTuple):
    """One field, or a run of fixed-width fields of one number.

    Attributes:
        number, wire_type: from its tag.
        begin: offset of its (first) tag.
        start, end: offsets of its value: the payload of a length-delimited field, the bytes of a
            number; in a run, from the first value to the end of the last.
        repeats: length of the run; its values lie ``(end - begin) // repeats`` bytes apart.
    """

    number: int
    wire_type: int
    begin: int
    start: int
    end: int
    repeats: int = 1


def walk(buffer: Buffer, start: int, end: int, file: object = None) -> Iterator[WireField]:
    """Yield the fields of the message in ``buffer[start:end]``, in order.

    Neighbouring fixed-width fields of one number (floats that are not packed) come as one run.

    Args:
        buffer: the file's bytes; nothing is copied.
        start: offset of the message.
        end: offset behind it.
        file: the file's name, for messages.

    Raises:
        FileFormatError: the bytes are not a message; the message names file and offset.
    """
    position = start
    while position < end:
        tag, value = read_varint(buffer, position, end, file)
        number, wire_type = tag >> 3, tag & 7
        repeats = 1
        if wire_type == VARINT:
            _, stop = read_varint(buffer, value, end, file)
        elif wire_type == LENGTH_DELIMITED:
            length, value = read_varint(buffer, value, end, file)
            stop = value + length
        elif wire_type in _WIDTHS:
            stop = value + _WIDTHS[wire_type]
            repeats = _run_length(buffer, position, value, stop, end)
            stop += (repeats - 1) * (stop - position)
        else:
            raise _damaged(file, position, f"a field of wire type {wire_type}", "0, 1, 2 or 5")
        if number == 0:
            raise _damaged(file, position, "a field of number 0", "a positive number")
        if stop > end:
            raise _damaged(
                file,
                position,
                f"a field of {stop - value} bytes, {end - value} bytes before its message ends",
                "a field that ends within its message",
            )
        yield WireField(number, wire_type, position, value, stop, repeats)
        position = stop


def read_varint(buffer: Buffer, position: int, end: int, file: object = None) -> Tuple[int, int]:
    """Return the variable-length integer at ``position`` and the offset behind it.

    Raises:
        FileFormatError: it does not end before ``end``, or is longer than ten bytes.
    """
    value = 0
    for index in range(_MAX_VARINT_BYTES):
        if position + index >= end:
            raise _damaged(file, position, "the end of the data", "the rest of an integer")
        byte = buffer[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    raise _damaged(file, position, "an integer of more than 10 bytes", "at most 10 bytes")


def decode_varints(buffer: Buffer, start: int, end: int, file: object = None) -> NDArray[np.uint64]:
    """Return the packed variable-length integers in ``buffer[start:end]``.

    Raises:
        FileFormatError: the last one is cut off, or one is longer than ten bytes.
    """
    data = np.frombuffer(buffer, np.uint8, end - start, start)
    last = np.flatnonzero(data < 0x80)
    if data.size and (not last.size or last[-1] != data.size - 1):
        raise _damaged(file, start, "the end of the data", "the rest of an integer")
    first = np.concatenate(([0], last[:-1] + 1)) if last.size else last
    lengths = last - first + 1
    longest = int(lengths.max(initial=0))
    if longest > _MAX_VARINT_BYTES:
        raise _damaged(file, start, f"an integer of {longest} bytes", "at most 10 bytes")
    values = np.zeros(last.size, np.uint64)
    for index in range(longest):
        there = np.flatnonzero(lengths > index)
        group = (data[first[there] + index] & 0x7F).astype(np.uint64)
        values[there] |= group << np.uint64(7 * index)
    return values


def encode_varint(value: int) -> bytes:
    """Return a non-negative integer as a variable-length one."""
    encoded: List[int] = []
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def encode_varints(values: NDArray[Any]) -> bytes:
    """Return integers as packed variable-length ones, negative ones sign-extended to 64 bits."""
    words = _as_words(values)
    index = np.arange(_MAX_VARINT_BYTES)
    groups = (words[:, None] >> (np.uint64(7) * index.astype(np.uint64))).astype(np.uint8) & 0x7F
    last = varint_sizes(values)[:, None] - 1
    groups[index < last] |= 0x80
    return bytes(groups[index <= last].tobytes())


def varint_sizes(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return how many bytes each integer takes as a variable-length one."""
    words = _as_words(values)
    sizes = np.ones(words.size, np.int64)
    for index in range(1, _MAX_VARINT_BYTES):
        sizes += words >> np.uint64(7 * index) != 0
    return sizes


def _as_words(values: NDArray[Any]) -> NDArray[np.uint64]:
    """Return integers as 64-bit two's complement."""
    flat = np.asarray(values).reshape(-1)
    signed = flat.dtype.kind == "i"
    return flat.astype(np.int64).view(np.uint64) if signed else flat.astype(np.uint64)


def encode_tag(number: int, wire_type: int) -> bytes:
    """Return the tag of a field."""
    return encode_varint(number << 3 | wire_type)


def encode_bytes(number: int, payload: bytes) -> bytes:
    """Return a length-delimited field."""
    return encode_tag(number, LENGTH_DELIMITED) + encode_varint(len(payload)) + payload


def _run_length(buffer: Buffer, begin: int, start: int, stop: int, end: int) -> int:
    """Return how many fields like the one in ``buffer[begin:stop]`` follow each other."""
    size, tag_size = stop - begin, start - begin
    tag = bytes(buffer[begin:start])
    if stop + size > end or bytes(buffer[stop : stop + tag_size]) != tag:
        return 1
    count = (end - begin) // size
    rows = np.frombuffer(buffer, np.uint8, count * size, begin).reshape(count, size)
    other = np.flatnonzero((rows[:, :tag_size] != np.frombuffer(tag, np.uint8)).any(axis=1))
    return int(other[0]) if other.size else count


def _damaged(file: object, offset: int, found: str, expected: str) -> FileFormatError:
    return FileFormatError(
        f"byte {offset}: found {found}; expected {expected}.",
        file=file,
        remedy=(
            "The file is cut off or is not a binary Caffe model (.caffemodel). Download or save it "
            "again, and check that model and weights are not swapped."
        ),
    )
