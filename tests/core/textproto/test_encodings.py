"""Bytes that are not UTF-8: protobuf takes strings and comments as bytes of any encoding."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amct_core.errors import FileFormatError
from amct_core.files import read_text, write_atomically
from amct_core.textproto import Message, format_message, parse
from amct_core.textproto.scalars import as_bytes, as_text

LAYER = "第一層"


@pytest.mark.parametrize("encoding", ["gbk", "big5", "latin-1", "utf-8"])
def test_a_comment_may_be_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "net.prototxt"
    text = "# é\nname: 'net'\n" if encoding == "latin-1" else f"# {LAYER}\nname: 'net'\n"
    file.write_bytes(text.encode(encoding))
    assert parse(read_text(file), str(file)).string("name") == "net"


def test_a_string_keeps_its_bytes_from_file_to_file(tmp_path: Path) -> None:
    source, copy = tmp_path / "net.prototxt", tmp_path / "copy.prototxt"
    source.write_bytes(f'source: "/数据/{LAYER}"\n'.encode("gbk"))
    message = parse(read_text(source))
    assert as_bytes(message.string("source") or "") == f"/数据/{LAYER}".encode("gbk")
    write_atomically(copy, format_message(message))
    assert copy.read_bytes() == source.read_bytes()


@given(st.binary())
def test_any_bytes_become_text_and_the_same_bytes_again(data: bytes) -> None:
    assert as_bytes(as_text(data)) == data


@given(st.binary())
def test_a_string_of_any_bytes_is_written_and_read(data: bytes) -> None:
    message = Message()
    message.add("name", as_text(data))
    text = format_message(message)
    assert text.isascii()
    assert parse(text).blobs("name") == [data]


def test_only_ascii_blanks_separate_fields_as_in_protobuf() -> None:
    with pytest.raises(FileFormatError, match="line 1, column 10"):
        parse('name: "a"\u00a0type: "c"')


def test_a_byte_order_mark_is_named_because_caffe_refuses_it() -> None:
    with pytest.raises(FileFormatError, match="byte order mark") as caught:
        parse('\ufeffname: "net"', "net.prototxt")
    assert "without" in caught.value.remedy
