"""The elements of a blob as NVIDIA's Caffe (0.16 and newer) writes them: as they lie in memory.

Its BlobProto has ``Type raw_data_type = 10`` and ``bytes raw_data = 12``; ``Type`` is DOUBLE = 0,
FLOAT = 1, FLOAT16 = 2, INT = 3, UINT = 4.  The numbers are those of Ascend's ``int8_data`` and
``uint64_data``, but field 10 is an integer there and bytes in Ascend's files.

Source: caffe.proto of NVIDIA/caffe, branch caffe-0.17; OpenCV's importer reads the same fields.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.caffemodel.place import BlobPlace
from amct_caffe.model.formats.caffemodel.wire import (
    LENGTH_DELIMITED,
    VARINT,
    Buffer,
    WireField,
    read_varint,
)

TYPE_NUMBER, DATA_NUMBER = 10, 12
_DTYPES: Dict[int, np.dtype[Any]] = {
    0: np.dtype("<f8"),
    1: np.dtype("<f4"),
    2: np.dtype("<f2"),
}


def is_raw(fields: Mapping[int, Sequence[WireField]]) -> bool:
    """Return whether a BlobProto with these fields, by their numbers, is one of NVIDIA's Caffe."""
    return any(field.wire_type == VARINT for field in fields.get(TYPE_NUMBER, ()))


def lacks_type(buffer: Buffer, fields: Mapping[int, Sequence[WireField]], count: int) -> bool:
    """Return whether field 12 has room for ``count`` numbers and cannot be ``uint64_data``."""
    if TYPE_NUMBER in fields or DATA_NUMBER not in fields:
        return False
    data = fields[DATA_NUMBER][-1]
    size = data.end - data.start
    if data.wire_type != LENGTH_DELIMITED or size not in (2 * count, 4 * count, 8 * count):
        return False
    last_bytes = np.frombuffer(buffer, np.uint8, size, data.start) < 0x80
    return bool(size) and (int(last_bytes.sum()) != count or not last_bytes[-1])


def decode(
    buffer: Buffer, fields: Mapping[int, Sequence[WireField]], place: BlobPlace
) -> NDArray[np.float32]:
    """Return the elements, 1-D; float32 ones are a read-only view of ``buffer``.

    Raises:
        FileFormatError: they are integers, or cut off, or there are none.
    """
    kind, _ = read_varint(
        buffer, fields[TYPE_NUMBER][-1].start, fields[TYPE_NUMBER][-1].end, place.file
    )
    data = fields.get(DATA_NUMBER, ())
    if kind not in _DTYPES:
        raise place.error(
            f"found raw_data of type {kind}, as NVIDIA's Caffe writes it; expected 0 (double), 1 "
            "(float) or 2 (half float)."
        )
    dtype = _DTYPES[kind]
    if not data or data[-1].wire_type != LENGTH_DELIMITED:
        raise place.error("found raw_data_type, as NVIDIA's Caffe writes it, but no raw_data.")
    size = data[-1].end - data[-1].start
    if size % dtype.itemsize:
        raise place.error(
            f"found {size} bytes of raw_data; expected a multiple of {dtype.itemsize}."
        )
    return np.frombuffer(buffer, dtype, size // dtype.itemsize, data[-1].start).astype(
        np.float32, copy=False
    )
