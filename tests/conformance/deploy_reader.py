"""A second reader of deployable models, written from ATC's field numbers alone.

It imports nothing of ours.  Numbers: ``caffe.proto`` of Ascend/parser as ATC 2021 and 2026 have it
(LayerParameter name 1, type 2, blobs 7; NetParameter layer 100; BlobProto shape 7, data 5,
int8_data 10, int32_data 11, uint64_data 12), and the deq_scale word of its fusion engine (bits 31:0
float32, 39:32 N, 47:40 offset_w).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional

import numpy as np


class Blob(NamedTuple):
    """Type of the field that holds a blob's numbers, its shape, and the numbers."""

    field: str
    shape: tuple[int, ...]
    values: list[Any]


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield number and content of each field: an int, or bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, wire_type = key >> 3, key & 7
        if wire_type == 0:
            value, at = varint(data, at)
            yield number, value
        else:
            size = {1: 8, 5: 4}.get(wire_type)
            if size is None:
                assert wire_type == 2, wire_type
                size, at = varint(data, at)
            yield number, data[at : at + size]
            at += size
            assert at <= len(data)


def varints(data: bytes) -> list[int]:
    values, at = [], 0
    while at < len(data):
        value, at = varint(data, at)
        values.append(value)
    return values


def read_weights(path: str) -> dict[str, tuple[str, list[Blob]]]:
    """Return type and blobs by layer name."""
    layers = {}
    with open(path, "rb") as stream:
        for number, content in fields(stream.read()):
            if number == 100:
                found = list(fields(content))
                (name,) = (value.decode() for n, value in found if n == 1)
                (kind,) = (value.decode() for n, value in found if n == 2)
                assert {n for n, _ in found} <= {1, 2, 7}, "parameters have other numbers in ATC"
                assert name not in layers
                layers[name] = (kind, [read_blob(value) for n, value in found if n == 7])
    return layers


def read_blob(data: bytes) -> Blob:
    found = dict(fields(data))
    shape = tuple(d for _, dims in fields(found.pop(7)) for d in varints(dims))
    ((number, content),) = found.items()
    if number == 10:
        return Blob("int8_data", shape, list(struct.unpack(f"{len(content)}b", content)))
    if number == 11:
        signed = [v - 2**64 if v >= 2**63 else v for v in varints(content)]
        return Blob("int32_data", shape, signed)
    if number == 12:
        return Blob("uint64_data", shape, varints(content))
    assert number == 5
    return Blob("data", shape, list(np.frombuffer(content, "<f4")))


class Packed(NamedTuple):
    """One word of a DeQuant."""

    deq_scale: float
    shift_n: int
    offset_w: int
    reserved: int


def unpack(word: int) -> Packed:
    (deq_scale,) = struct.unpack("<f", struct.pack("<I", word & 0xFFFFFFFF))
    return Packed(deq_scale, word >> 32 & 0xFF, word >> 40 & 0xFF, word >> 48)


class TextLayer(NamedTuple):
    """What ATC reads of one layer of the prototxt."""

    name: str
    type: str
    bottoms: list[str]
    tops: list[str]
    scale: Optional[float]
    offset: Optional[int]


def read_prototxt(path: str) -> list[TextLayer]:
    with open(path) as stream:
        text = stream.read()
    return [_layer(body) for body in re.findall(r"^layer \{\n(.*?)^\}", text, re.M | re.S)]


def _layer(body: str) -> TextLayer:
    def strings(field: str) -> list[str]:
        return re.findall(rf'^  {field}: "((?:[^"\\]|\\.)*)"', body, re.M)

    quant = re.search(r"^  quant_param \{\n(.*?)^  \}", body, re.M | re.S)
    scale = offset = None
    if quant is not None:
        (number,) = re.findall(r"scale: (\S+)", quant[1])
        (text,) = re.findall(r'offset: "(.*)"', quant[1])
        content = text.encode().decode("unicode_escape").encode("latin-1")
        scale, (offset,) = float(np.float32(number)), struct.unpack("b", content)
    (name,), (kind,) = strings("name"), strings("type")
    return TextLayer(name, kind, strings("bottom"), strings("top"), scale, offset)
