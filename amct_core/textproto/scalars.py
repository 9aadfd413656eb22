"""Scalar values of the text format: raw text, quoting, and how float32 numbers are written."""

from __future__ import annotations

import re
from typing import Dict, Match

import attrs
import numpy as np

_ESCAPES: Dict[bytes, bytes] = {
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"v": b"\v",
    b"\\": b"\\",
    b"'": b"'",
    b'"': b'"',
    b"?": b"?",
}
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_PIECE = re.compile(r'"((?:[^"\\]|\\.)*)"|\'((?:[^\'\\]|\\.)*)\'', re.DOTALL)
_SHORT = {0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x22: '\\"', 0x27: "\\'", 0x5C: "\\\\"}


@attrs.frozen
class Scalar:
    """A scalar as it stands in the file.

    Attributes:
        text: the raw text; for strings with their quotes, adjacent pieces separated by blanks.
        kind: ``number``, ``string`` or ``identifier``.
    """

    text: str
    kind: str


def as_text(data: bytes) -> str:
    """Return bytes as a string; those that are not UTF-8 become lone surrogates (PEP 383).

    Protobuf and Caffe take names and paths as bytes of any encoding, such as GBK.
    """
    return data.decode("utf-8", "surrogateescape")


def as_bytes(text: str) -> bytes:
    """Return the bytes that :func:`as_text` was given."""
    return text.encode("utf-8", "surrogateescape")


def decode_bytes(scalar: Scalar) -> bytes:
    """Return the contents of a quoted string.

    Raises:
        ValueError: the scalar is not a string.
    """
    if scalar.kind != "string":
        raise ValueError(scalar.text)
    text = scalar.text
    if "\\" not in text and text.find(text[0], 1) == len(text) - 1:  # one plain piece, as usual
        return as_bytes(text[1:-1])
    pieces = _PIECE.findall(text)
    return b"".join(_unescape(as_bytes(a or b)) for a, b in pieces)


def quoted(data: bytes) -> str:
    """Return ``data`` in double quotes, non-printable bytes in octal, as protobuf writes it."""
    return '"' + data.decode("latin-1").translate(_QUOTED) + '"'


def float_text(value: float) -> str:
    """Return a number as protobuf writes a float: 6 digits if these give the float32, else 9."""
    if np.isnan(value):
        return "nan"
    if np.isinf(value):
        return "inf" if value > 0 else "-inf"
    single = np.float32(value)
    short = f"{float(single):.6g}"
    return short if np.float32(short) == single else f"{float(single):.9g}"


def _quoted_byte(byte: int) -> str:
    if byte in _SHORT:
        return _SHORT[byte]
    return chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}"


_QUOTED = {byte: _quoted_byte(byte) for byte in range(256)}


def _unescape(raw: bytes) -> bytes:
    return _ESCAPE.sub(_unescaped, raw) if b"\\" in raw else raw


def _unescaped(match: Match[bytes]) -> bytes:
    octal, hexadecimal, unicode_point, single = match.groups()
    if octal is not None:
        return bytes([int(octal, 8) & 0xFF])
    if hexadecimal is not None:
        return bytes([int(hexadecimal, 16)])
    if unicode_point is not None:
        return chr(int(unicode_point, 16)).encode("utf-8")
    return _ESCAPES.get(single, single)
