"""Strings of the text format: what stands between the quotes, and how bytes are written."""

from __future__ import annotations

import pytest
from google.protobuf import text_format, wrappers_pb2
from hypothesis import example, given
from hypothesis import strategies as st

from amct_core.textproto import Message, format_message, parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"conv1"', "conv1"),
        ("'conv1'", "conv1"),
        ('""', ""),
        ('"it\'s"', "it's"),
        (r'"a\"b"', 'a"b'),
        ('"con" "v1"', "conv1"),
        ("\"con\" 'v1'", "conv1"),
        ("'con' \"v1\"", "conv1"),
    ],
)
def test_adjacent_pieces_in_any_quotes_are_one_string(text: str, value: str) -> None:
    assert parse(f"name: {text}").string("name") == value


@given(st.binary(max_size=30))
def test_what_is_written_is_printable_ascii_and_reads_as_the_same_bytes(data: bytes) -> None:
    message = Message()
    message.add("value", data)
    (field,) = message
    written = field.value.text  # type: ignore[union-attr]
    assert written.isascii() and written.isprintable()
    assert parse(f"value: {written}").blobs("value") == [data]


@given(st.binary(max_size=30))
@example(bytes(range(256)))
def test_bytes_are_written_as_protobuf_writes_them(data: bytes) -> None:
    message = Message()
    message.add("value", data)
    theirs = text_format.MessageToString(wrappers_pb2.BytesValue(value=data))
    assert format_message(message) == (theirs or 'value: ""\n')  # protobuf leaves defaults out
