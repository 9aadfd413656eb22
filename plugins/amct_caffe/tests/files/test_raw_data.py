"""Blobs as NVIDIA's Caffe writes them, byte by byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from amct_caffe.model.formats.caffemodel import reader
from amct_caffe.model.formats.caffemodel.wire import (
    VARINT,
    encode_bytes,
    encode_tag,
    encode_varint,
    encode_varints,
)
from amct_core.errors import FileFormatError

VALUES = np.arange(-3, 3).reshape(2, 3) / 4


def file_with(folder: Path, blob: bytes) -> str:
    """Return the path of a weights file with one layer of one blob of shape 2 x 3."""
    shape = encode_bytes(7, encode_bytes(1, bytes([2, 3])))
    layer = encode_bytes(1, b"conv") + encode_bytes(7, shape + blob)
    path = folder / "net.caffemodel"
    path.write_bytes(encode_bytes(100, layer))
    return str(path)


def raw(kind: int, data: bytes) -> bytes:
    """Return ``raw_data_type`` and ``raw_data``."""
    return encode_tag(10, VARINT) + encode_varint(kind) + encode_bytes(12, data)


@pytest.mark.parametrize(("kind", "dtype"), [(0, "<f8"), (1, "<f4"), (2, "<f2")])
def test_numbers_are_read_as_float32(tmp_path: Path, kind: int, dtype: str) -> None:
    model = reader.read(file_with(tmp_path, raw(kind, VALUES.astype(dtype).tobytes())))
    (blob,) = model.layers[0].blobs
    assert blob.dtype == np.float32
    np.testing.assert_array_equal(blob, VALUES.astype(np.float32))


@pytest.mark.parametrize(
    ("blob", "problem"),
    [
        (raw(3, bytes(24)), "raw_data of type 3"),
        (raw(1, bytes(23)), "found 23 bytes of raw_data"),
        (raw(1, bytes(20)), "found 5 elements in raw_data; expected 6"),
        (encode_tag(10, VARINT) + encode_varint(1), "no raw_data"),
        (encode_bytes(12, VALUES.astype("<f4").tobytes()), "raw_data without raw_data_type"),
        (encode_bytes(12, VALUES.astype("<f2").tobytes()), "raw_data without raw_data_type"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, blob: bytes, problem: str) -> None:
    with pytest.raises(FileFormatError, match=problem) as caught:
        reader.read(file_with(tmp_path, blob))
    assert (caught.value.layer, caught.value.field) == ("conv", "blobs[0]")


def test_ascends_integers_of_the_same_numbers_are_still_read(tmp_path: Path) -> None:
    file = file_with(tmp_path, encode_bytes(10, bytes([0, 1, 127, 128, 255, 2])))
    assert reader.read(file).layers[0].blobs[0].dtype == np.int8


@pytest.mark.parametrize("value", [2**13, 2**27, 2**55])
def test_deq_scales_that_take_as_many_bytes_as_floats_are_still_read(
    tmp_path: Path, value: int
) -> None:
    packed = encode_varints(np.full(6, value, np.uint64))
    assert len(packed) in (12, 24, 48)
    (blob,) = reader.read(file_with(tmp_path, encode_bytes(12, packed))).layers[0].blobs
    assert (blob == np.uint64(value)).all()
