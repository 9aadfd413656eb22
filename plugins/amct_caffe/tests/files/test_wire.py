"""Protobuf's wire format: integers against protobuf itself, damage found with its offset."""

from __future__ import annotations

from typing import List

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amct_caffe.model.formats.caffemodel import wire
from amct_caffe.model.schema.pool import message_class
from amct_core.errors import FileFormatError

WORDS = st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 300))


@given(WORDS)
def test_packed_integers_are_those_of_protobuf(values: List[int]) -> None:
    blob = message_class("BlobProto")(uint64_data=values)
    expected = blob.SerializeToString()
    encoded = wire.encode_varints(np.array(values, np.uint64))
    assert (wire.encode_bytes(12, encoded) if values else b"") == expected
    assert wire.decode_varints(encoded, 0, len(encoded)).tolist() == values


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1))
def test_negative_integers_are_sign_extended_as_by_protobuf(values: List[int]) -> None:
    expected = message_class("BlobProto")(int32_data=values).SerializeToString()
    array = np.array(values, np.int32)
    assert wire.encode_bytes(11, wire.encode_varints(array)) == expected
    assert int(wire.varint_sizes(array).sum()) == len(wire.encode_varints(array))


@given(st.integers(0, 2**64 - 1))
def test_a_single_integer_is_read_as_it_was_written(value: int) -> None:
    encoded = wire.encode_varint(value)
    assert wire.read_varint(encoded + b"\xff", 0, len(encoded)) == (value, len(encoded))


def test_fields_are_found_with_their_offsets() -> None:
    data = wire.encode_tag(3, wire.VARINT) + b"\x96\x01" + wire.encode_bytes(4, b"abc")
    assert list(wire.walk(data, 0, len(data))) == [
        wire.WireField(3, wire.VARINT, 0, 1, 3),
        wire.WireField(4, wire.LENGTH_DELIMITED, 3, 5, 8),
    ]


@pytest.mark.parametrize(("number", "tag_size"), [(5, 1), (500, 2)])
def test_floats_that_are_not_packed_come_as_one_run(number: int, tag_size: int) -> None:
    one = wire.encode_tag(number, wire.FIXED32) + b"\x00\x00\x80\x3f"
    data = b"\x08\x01" + one * 1000 + wire.encode_bytes(7, b"")
    fields = list(wire.walk(data, 0, len(data)))
    assert [field.number for field in fields] == [1, number, 7]
    run = fields[1]
    assert run.repeats == 1000
    assert (run.begin, run.start, run.end) == (2, 2 + tag_size, 2 + 1000 * len(one))


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"\x0a\x05abc", "byte 0: found a field of 5 bytes"),
        (b"\x08\x01\x0d\x00\x00", "byte 2: found a field of 4 bytes"),
        (b"\x08\x80", "byte 1: found the end of the data"),
        (b"\x08" + b"\x80" * 11, "byte 1: found an integer of more than 10 bytes"),
        (b"\x0b", "byte 0: found a field of wire type 3"),
        (b"\x00\x00", "byte 0: found a field of number 0"),
    ],
)
def test_damage_is_named_with_its_offset(data: bytes, found: str) -> None:
    with pytest.raises(FileFormatError) as caught:
        list(wire.walk(data, 0, len(data), "net.caffemodel"))
    assert caught.value.file == "net.caffemodel"
    assert caught.value.problem.startswith(found)


@pytest.mark.parametrize("data", [b"\x01\x80", b"\x80" * 11 + b"\x01"])
def test_damaged_packed_integers_are_refused(data: bytes) -> None:
    with pytest.raises(FileFormatError):
        wire.decode_varints(data, 0, len(data), "net.caffemodel")


@given(st.binary(max_size=60))
def test_any_bytes_are_fields_that_cover_them_or_an_error(data: bytes) -> None:
    try:
        fields = list(wire.walk(data, 0, len(data), "f"))
    except FileFormatError:
        return
    ends = [0, *(field.end for field in fields)]
    assert [field.begin for field in fields] == ends[:-1]
    assert ends[-1] == len(data)


def test_an_integer_has_10_bytes_at_most() -> None:
    longest = b"\x80" * 9 + b"\x01"
    assert wire.read_varint(longest, 0, 10) == (2**63, 10)
    assert wire.decode_varints(longest, 0, 10).tolist() == [2**63]
    for decode in (wire.read_varint, wire.decode_varints):
        with pytest.raises(FileFormatError, match="at most 10 bytes"):
            decode(b"\x80" + longest, 0, 11)
