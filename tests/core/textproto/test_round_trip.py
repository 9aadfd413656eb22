"""Reading and writing text protos: trees come back, and protobuf's own parser agrees."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amct_core.errors import FileFormatError
from amct_core.textproto import Identifier, Message, format_message, parse

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
SCALARS = st.one_of(
    st.integers(-(2**31), 2**31 - 1),
    st.floats(width=32, allow_nan=False),
    st.text(max_size=12),
    st.binary(max_size=6),
    st.sampled_from([Identifier("AVE"), Identifier("MAX")]),
    st.booleans(),
)
TREES: Any = st.recursive(
    st.lists(st.tuples(NAMES, SCALARS), max_size=4),
    lambda inner: st.lists(st.tuples(NAMES, st.one_of(SCALARS, inner)), max_size=4),
    max_leaves=12,
)


def message_of(tree: list[tuple[str, Any]]) -> Message:
    message = Message()
    for name, value in tree:
        message.add(name, message_of(value) if isinstance(value, list) else value)
    return message


@given(tree=TREES)
def test_what_is_written_is_read_again_field_by_field(tree: list[tuple[str, Any]]) -> None:
    text = format_message(message_of(tree))
    again = parse(text)
    assert format_message(again) == text
    assert [field.name for field in again] == [name for name, _ in tree]


@given(value=SCALARS | st.sampled_from([float("inf"), float("nan"), float("-inf")]))
def test_a_value_that_is_added_is_what_is_read_in_its_text(value: Any) -> None:
    message = Message()
    message.add("x", value)
    (field,) = parse(format_message(message))
    assert field.value == next(iter(message)).value


@given(values=st.lists(st.floats(width=32, allow_nan=False), max_size=5))
def test_floats_keep_every_bit_of_float32(values: list[float]) -> None:
    message = Message()
    for value in values:
        message.add("x", value)
    again = parse(format_message(message)).numbers("x")
    np.testing.assert_array_equal(np.float32(again), np.float32(values))


@given(text=st.text(max_size=30), data=st.binary(max_size=30))
def test_strings_and_bytes_keep_every_character(text: str, data: bytes) -> None:
    message = Message()
    message.add("text", text)
    message.add("data", data)
    again = parse(format_message(message))
    assert again.strings("text") == [text]
    assert again.blobs("data") == [data]


EQUAL = [
    ("a { b: 1 }", "a: { b: 1 }"),
    ("a { b: 1 }", "a < b: 1 >"),
    ("a: 1 a: 2", "a: [1, 2]"),
    ("a: 1 b: 2", "a: 1, b: 2;"),
    ("a: 16", "a: 0x10"),
    ("a: 8", "a: 010"),
    ('a: "xy"', "a: 'x' \"y\""),
    ('a: "\\001\\n"', 'a: "\\x01\\012"'),
    ("a: 1", "# a comment\na: 1 # another"),
]


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_two_ways_to_write_the_same(one: str, other: str) -> None:
    first, second = parse(one), parse(other)
    assert [field.name for field in first] == [field.name for field in second]
    for name in {field.name for field in first}:
        for read in ("integers", "blobs", "messages"):
            try:
                expected = getattr(first, read)(name)
            except FileFormatError:
                continue
            found = getattr(second, read)(name)
            if read == "messages":
                expected, found = map(
                    list,
                    ([format_message(m) for m in expected], [format_message(m) for m in found]),
                )
            assert found == expected


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a: 1\nb {", "line 2"),
        ("a: 1 }", "line 1"),
        ("a:", "line 1"),
        ("a: 'x\n", "line 1"),
        ("\n\n: 3", "line 3"),
        ("a [ b: 1 ]", "line 1"),
    ],
)
def test_errors_name_file_and_line(text: str, where: str) -> None:
    with pytest.raises(FileFormatError, match=where) as caught:
        parse(text, "some.prototxt")
    assert caught.value.file == "some.prototxt"


def test_protobufs_own_parser_reads_what_we_write_and_we_what_it_writes() -> None:
    descriptor_pb2 = pytest.importorskip("google.protobuf.descriptor_pb2")
    from google.protobuf import text_format

    message = descriptor_pb2.FileDescriptorProto(
        name='with "quotes"\n\x01', package="p", dependency=["a", "b"]
    )
    added = message.message_type.add(name="Müller")
    added.field.add(name="x", number=7, type="TYPE_FLOAT", label="LABEL_REPEATED")
    message.options.java_string_check_utf8 = True
    written = text_format.MessageToString(message)
    ours = format_message(parse(written))
    assert text_format.Parse(ours, descriptor_pb2.FileDescriptorProto()) == message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\n  b 2", "line 2, column 5: found '2'; expected ':' or '{' behind 'b'"),
        (
            "b abcdefghijklmnopqrstuvwxyz",
            "line 1, column 3: found 'abcdefghijklmnopqrst'; expected",
        ),
        ("a: { b: 1", "line 1, column 10: found the end of the file; expected a field name or '}'"),
    ],
)
def test_an_error_tells_line_column_and_what_stands_there(text: str, said: str) -> None:
    with pytest.raises(FileFormatError) as caught:
        parse(text)
    assert str(caught.value).startswith(said)
