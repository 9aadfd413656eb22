"""Decodes one BlobProto into an array."""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, List, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.caffemodel import raw_data
from amct_caffe.model.formats.caffemodel.place import BlobPlace
from amct_caffe.model.formats.caffemodel.wire import (
    LENGTH_DELIMITED,
    VARINT,
    Buffer,
    WireField,
    decode_varints,
    read_varint,
    walk,
)
from amct_caffe.model.schema.fields import field_names, field_number
from amct_core.errors import FileFormatError

_LEGACY_SHAPE = ("num", "channels", "height", "width")
_PRECEDENCE = ("double_data", "int8_data", "int32_data", "uint64_data", "data")


@attrs.frozen(eq=False)
class StoredBlob:
    """A BlobProto as it stands in the file, consistent or not.

    Attributes:
        field: where its elements come from, ``raw_data`` included; ``data`` if it has none.
        ignored: other fields that hold elements too, and lose against ``field``.
        elements: 1-D; float32 data and int8 data are read-only views of the file.
        shape: the legacy one (num, channels, height, width) where the blob has it, as in Caffe.
    """

    field: str
    ignored: Tuple[str, ...]
    elements: NDArray[Any] = attrs.field(repr=False)
    shape: Tuple[int, ...]

    @property
    def expected_elements(self) -> int:
        """The product of the shape."""
        return math.prod(self.shape)


def array_of(blob: StoredBlob, place: BlobPlace) -> NDArray[Any]:
    """Return the elements of ``blob`` in its shape.

    Raises:
        FileFormatError: the number of elements is not the product of the shape.
    """
    count = blob.expected_elements
    if blob.elements.size != count or any(dim < 0 for dim in blob.shape):
        raise place.error(
            f"found {blob.elements.size} elements in {blob.field}; expected {count}, the product "
            f"of its shape {blob.shape}."
        )
    return blob.elements.reshape(blob.shape)


def read_stored_blob(buffer: Buffer, start: int, end: int, place: BlobPlace) -> StoredBlob:
    """Return what the BlobProto in ``buffer[start:end]`` holds, even if it contradicts itself.

    float32 data is a read-only view of ``buffer``, and so is int8 data; doubles become float32,
    int32 and uint64 are decoded; gradients (``diff``) are ignored.  What NVIDIA's Caffe calls
    ``raw_data`` is read as well.

    Raises:
        FileFormatError: the bytes are no BlobProto.
    """
    fields: Dict[int, List[WireField]] = {}
    for field in walk(buffer, start, end, place.file):
        fields.setdefault(field.number, []).append(field)
    names = field_names("BlobProto")
    found = {names[number]: each for number, each in fields.items() if number in names}
    if raw_data.is_raw(fields):
        elements = raw_data.decode(buffer, fields, place)
        return StoredBlob("raw_data", (), elements, _shape(buffer, found, place))
    shape = _shape(buffer, found, place)
    if raw_data.lacks_type(buffer, fields, math.prod(shape)):
        raise place.error(
            "found raw_data without raw_data_type, which NVIDIA's Caffe writes; expected both."
        )
    name, *others = [name for name in _PRECEDENCE if name in found] or ["data"]
    parts = [_DECODERS[name](buffer, field, place) for field in found.get(name, [])]
    if name == "int8_data":
        parts = parts[-1:]  # of a field that is not repeated, the last one counts
    return StoredBlob(name, tuple(others), _joined(parts), shape)


def _joined(parts: List[NDArray[Any]]) -> NDArray[Any]:
    if not parts:
        return np.zeros(0, np.float32)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _shape(buffer: Buffer, found: Dict[str, List[WireField]], place: BlobPlace) -> Tuple[int, ...]:
    if any(name in found for name in _LEGACY_SHAPE):
        return tuple(
            _last_integer(buffer, found[name][-1], place) if name in found else 0
            for name in _LEGACY_SHAPE
        )
    dims: List[int] = []
    for shape in found.get("shape", []):
        for field in walk(buffer, shape.start, shape.end, place.file):
            if field.number == field_number("BlobShape", "dim"):
                dims.extend(int(dim) for dim in _integers(buffer, field, place))
    return tuple(dims)


def _last_integer(buffer: Buffer, field: WireField, place: BlobPlace) -> int:
    values = _integers(buffer, field, place)
    if not values.size:
        raise place.error(f"byte {field.begin}: field {field.number} is empty; expected a size.")
    return int(values[-1])


def _integers(buffer: Buffer, field: WireField, place: BlobPlace) -> NDArray[np.int64]:
    return _varints(buffer, field, place).view(np.int64)


def _varints(buffer: Buffer, field: WireField, place: BlobPlace) -> NDArray[np.uint64]:
    if field.wire_type == LENGTH_DELIMITED:
        return decode_varints(buffer, field.start, field.end, place.file)
    if field.wire_type == VARINT:
        value, _ = read_varint(buffer, field.start, field.end, place.file)
        return np.array([value & (2**64 - 1)], np.uint64)
    raise _wrong_wire_type(field, place)


def _int32(buffer: Buffer, field: WireField, place: BlobPlace) -> NDArray[np.int32]:
    # Negative numbers are sign-extended to 64 bits; the low 32 are the number.
    return _varints(buffer, field, place).astype(np.uint32).view(np.int32)


def _int8(buffer: Buffer, field: WireField, place: BlobPlace) -> NDArray[np.int8]:
    if field.wire_type != LENGTH_DELIMITED:
        raise _wrong_wire_type(field, place)
    return np.frombuffer(buffer, np.int8, field.end - field.start, field.start)


def _float32(buffer: Buffer, field: WireField, place: BlobPlace) -> NDArray[np.float32]:
    return _floats(buffer, field, place, np.dtype("<f4"))


def _float64(buffer: Buffer, field: WireField, place: BlobPlace) -> NDArray[np.float32]:
    return _floats(buffer, field, place, np.dtype("<f8")).astype(np.float32)


def _floats(
    buffer: Buffer, field: WireField, place: BlobPlace, dtype: np.dtype[Any]
) -> NDArray[Any]:
    size = field.end - field.start
    if field.wire_type == LENGTH_DELIMITED:
        if size % dtype.itemsize:
            raise place.error(
                f"found {size} bytes of numbers; expected a multiple of {dtype.itemsize}."
            )
        packed: NDArray[Any] = np.frombuffer(buffer, dtype, size // dtype.itemsize, field.start)
        return packed
    stride = (field.end - field.begin) // field.repeats
    if field.wire_type == VARINT or stride < dtype.itemsize:
        raise _wrong_wire_type(field, place)
    rows = np.frombuffer(buffer, np.uint8, stride * field.repeats, field.begin)
    values = rows.reshape(field.repeats, stride)[:, stride - dtype.itemsize :]
    return np.ascontiguousarray(values).view(dtype)[:, 0]


def _wrong_wire_type(field: WireField, place: BlobPlace) -> FileFormatError:
    return place.error(
        f"byte {field.begin}: field {field.number} has wire type {field.wire_type}, which does not "
        "fit its type."
    )


_DECODERS: Dict[str, Callable[[Buffer, WireField, BlobPlace], NDArray[Any]]] = {
    "data": _float32,
    "double_data": _float64,
    "int8_data": _int8,
    "int32_data": _int32,
    "uint64_data": _varints,
}
