"""Reads the binary file of a deployable model without any code of ours.

It knows protobuf's wire format and the field numbers of ATC's ``caffe.proto``, which are the same
in Ascend/parser (2021) and hicann/ge (2026).
"""

from __future__ import annotations

import struct
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

NET_LAYER = 100
LAYER_NAME, LAYER_TYPE, LAYER_BOTTOM, LAYER_TOP, LAYER_BLOBS = 1, 2, 3, 4, 7
LAYER_CONVOLUTION, LAYER_INNER_PRODUCT = 106, 117
BIAS_TERM = {LAYER_CONVOLUTION: 2, LAYER_INNER_PRODUCT: 2}
BLOB_DATA, BLOB_SHAPE, BLOB_INT8, BLOB_INT32, BLOB_UINT64 = 5, 7, 10, 11, 12
SHAPE_DIM = 1

_BLOB_FIELDS = {
    BLOB_DATA: "data",
    BLOB_INT8: "int8_data",
    BLOB_INT32: "int32_data",
    BLOB_UINT64: "uint64_data",
}


class Blob(NamedTuple):
    """The one field that holds a blob's numbers, its shape, and the numbers in file order."""

    field: str
    shape: List[int]
    values: List[Any]


class StoredLayer(NamedTuple):
    """A layer of the binary file; ``bias_term`` is None where the file does not say it."""

    type: str
    blobs: List[Blob]
    bottoms: List[str]
    tops: List[str]
    bias_term: Optional[bool]


class DequantWord(NamedTuple):
    """What one ``uint64`` of a DeQuant says (masks of CANN's quant_host_cpu_op_common.h)."""

    deq_scale_bits: int
    shift_n: int
    offset_w: int
    reserved: int


def decode_word(word: int) -> DequantWord:
    """Return the parts of a DeQuant's word: bits 31:0, 39:32, 47:40 and 63:48."""
    return DequantWord(word % 2**32, word // 2**32 % 256, word // 2**40 % 256, word // 2**48)


def float32_bits(value: Any) -> int:
    """Return the IEEE bits of ``value`` as float32."""
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    return int(bits)


def read_caffemodel(path: str) -> Dict[str, StoredLayer]:
    """Return the layers of a binary file by name, in file order."""
    with open(path, "rb") as stream:
        return parse_caffemodel(stream.read())


def parse_caffemodel(contents: bytes) -> Dict[str, StoredLayer]:
    """Return the layers by name, in file order."""
    layers: Dict[str, StoredLayer] = {}
    for number, layer in _fields(contents):
        if number == NET_LAYER:
            name, stored = _layer(layer)
            assert name not in layers, f"layer {name!r} twice"
            layers[name] = stored
    return layers


def _layer(data: bytes) -> Tuple[str, StoredLayer]:
    found = list(_fields(data))
    texts: Dict[int, List[str]] = {
        wanted: [value.decode() for number, value in found if number == wanted]
        for wanted in (LAYER_NAME, LAYER_TYPE, LAYER_BOTTOM, LAYER_TOP)
    }
    (name,), (kind,) = texts[LAYER_NAME], texts[LAYER_TYPE]
    bias_term = None
    for number, value in found:
        if number in BIAS_TERM:
            ((field, bias_term),) = ((field, bool(content)) for field, content in _fields(value))
            assert field == BIAS_TERM[number], "a parameter that ATC does not read"
    known = {*texts, LAYER_BLOBS, *BIAS_TERM}
    assert known.issuperset(number for number, _ in found), "a field that ATC does not read"
    blobs = [_blob(value) for number, value in found if number == LAYER_BLOBS]
    return name, StoredLayer(kind, blobs, texts[LAYER_BOTTOM], texts[LAYER_TOP], bias_term)


def _blob(data: bytes) -> Blob:
    found = list(_fields(data))
    (shape,) = (value for number, value in found if number == BLOB_SHAPE)
    dims = [dim for number, packed in _fields(shape) if number == SHAPE_DIM for dim in _all(packed)]
    ((number, content),) = ((n, value) for n, value in found if n != BLOB_SHAPE)
    if number == BLOB_INT8:
        values: List[Any] = list(struct.unpack(f"{len(content)}b", content))
    elif number == BLOB_DATA:
        values = list(struct.unpack(f"<{len(content) // 4}f", content))
    else:
        values = list(_all(content))
        if number == BLOB_INT32:  # negative ones are stored sign-extended to 64 bits
            values = [value - 2**64 if value >= 2**63 else value for value in values]
    return Blob(_BLOB_FIELDS[number], dims, values)


def _fields(data: bytes) -> Iterator[Tuple[int, Any]]:
    """Yield number and content of each field: bytes, or an int for a varint."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire_type = key & 7
        if wire_type == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if wire_type == 2:
            size, at = _varint(data, at)
        else:
            size = {1: 8, 5: 4}[wire_type]
        assert at + size <= len(data), "a field ends behind its message"
        yield key >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> Tuple[int, int]:
    value = shift = 0
    while data[at] & 0x80:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return value | data[at] << shift, at + 1


def _all(packed: bytes) -> Iterator[int]:
    at = 0
    while at < len(packed):
        value, at = _varint(packed, at)
        yield value
