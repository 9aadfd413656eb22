"""Reads a caffemodel: layer names, types and blobs, floats as views of the mapped file."""

from __future__ import annotations

import math
import mmap
import os
from typing import Any, Dict, List, Optional, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_caffe.formats.caffemodel import wire
from amct_caffe.formats.caffemodel.wire import WireField
from amct_caffe.formats.v1 import V1_LAYER_TYPES, v1_layer_type
from amct_caffe.schema.fields import field_number
from amct_core.errors import FileFormatError

_INT32_MASK = np.uint64(0xFFFFFFFF)


@attrs.frozen(eq=False)
class LayerWeights:
    """One layer of a caffemodel.

    Attributes:
        name, type: of the layer; ``type`` in today's spelling.
        blobs: arrays in the shapes that the file has (old files: four dimensions).
        other: the layer's remaining fields, as bytes; empty for old files.
    """

    name: str
    type: str
    blobs: Tuple[NDArray[Any], ...]
    other: bytes = b""


@attrs.frozen(eq=False)
class CaffeModel:
    """A caffemodel: the layers in the order of the file."""

    name: str
    layers: Tuple[LayerWeights, ...]
    file: str

    def by_name(self) -> Dict[str, LayerWeights]:
        """Return the layers that have blobs, by name.

        Raises:
            FileFormatError: two layers with blobs have one name.
        """
        result: Dict[str, LayerWeights] = {}
        for layer in self.layers:
            if not layer.blobs:
                continue
            if layer.name in result:
                raise FileFormatError(
                    "two layers with weights have this name; expected one.",
                    file=self.file,
                    layer=layer.name,
                )
            result[layer.name] = layer
        return result


def read(path: str) -> CaffeModel:
    """Read a caffemodel; today's format and ``V1``.

    Packed floats are read-only views of the mapped file, so a file of any size costs no memory
    until its weights are used.

    Raises:
        FileFormatError: the file is missing, truncated, not a caffemodel, or a blob's size does not
            fit its shape.
    """
    data = _map(path)
    name = ""
    layers: List[LayerWeights] = []
    for field in wire.fields(data, 0, len(data), path):
        if field.wire_type != wire.LENGTH:
            continue
        if field.number == field_number("NetParameter", "name"):
            name = bytes(data[field.start : field.end]).decode("utf-8", "replace")
        elif field.number == field_number("NetParameter", "layer"):
            layers.append(_layer(data, field, path))
        elif field.number == field_number("NetParameter", "layers"):
            layers.append(_v1_layer(data, field, path))
    if not layers:
        raise FileFormatError(
            "it holds no layer; expected a caffemodel.",
            file=path,
            remedy="Give a weights file that Caffe wrote (an HDF5 snapshot is not one; set "
            "snapshot_format: BINARYPROTO).",
        )
    return CaffeModel(name, tuple(layers), path)


def _map(path: str) -> Any:
    try:
        with open(path, "rb") as stream:
            if os.fstat(stream.fileno()).st_size == 0:
                raise FileFormatError("the file is empty; expected a caffemodel.", file=path)
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise FileFormatError(
            f"cannot be read: {error.strerror}.", file=path, remedy="Check the path."
        ) from error


def _layer(data: Any, message: WireField, path: str) -> LayerWeights:
    name = kind = ""
    blobs: List[NDArray[Any]] = []
    other: List[bytes] = []
    begin = message.start
    for field in wire.fields(data, message.start, message.end, path):
        if field.number == field_number("LayerParameter", "blobs"):
            blobs.append(_blob(data, field, path, name, len(blobs)))
        else:
            other.append(bytes(data[begin : _end(data, field)]))
            if field.number == field_number("LayerParameter", "name"):
                name = bytes(data[field.start : field.end]).decode("utf-8")
            elif field.number == field_number("LayerParameter", "type"):
                kind = bytes(data[field.start : field.end]).decode("utf-8")
        begin = _end(data, field)
    return LayerWeights(name, kind, tuple(blobs), b"".join(other))


def _end(data: Any, field: WireField) -> int:
    if field.wire_type != wire.VARINT:
        return field.end
    position = field.start
    while data[position] >= 0x80:
        position += 1
    return position + 1


def _v1_layer(data: Any, message: WireField, path: str) -> LayerWeights:
    name, kind = "", ""
    blobs: List[NDArray[Any]] = []
    for field in wire.fields(data, message.start, message.end, path):
        if field.number == field_number("V1LayerParameter", "blobs"):
            blobs.append(_blob(data, field, path, name, len(blobs)))
        elif field.number == field_number("V1LayerParameter", "name"):
            name = bytes(data[field.start : field.end]).decode("utf-8")
        elif field.number == field_number("V1LayerParameter", "type"):
            kind = v1_layer_type(V1_LAYER_TYPES.get(field.value, str(field.value)))
        elif field.number == field_number("V1LayerParameter", "layer"):
            raise FileFormatError(
                "the file is in Caffe's oldest (V0) format.",
                file=path,
                remedy="Upgrade it with Caffe's upgrade_net_proto_binary.",
            )
    return LayerWeights(name, kind, tuple(blobs))


@attrs.define
class _BlobParts:
    """What the fields of a BlobProto hold."""

    legacy: Dict[str, int] = attrs.field(factory=dict)
    dims: Optional[Tuple[int, ...]] = None
    arrays: List[NDArray[Any]] = attrs.field(factory=list)


def _blob(data: Any, message: WireField, path: str, layer: str, index: int) -> NDArray[Any]:
    parts = _BlobParts()
    position = message.start
    for field in wire.fields(data, message.start, message.end, path):
        if field.start < position:
            continue  # inside a run of unpacked floats that has been taken as a whole
        position = _read_blob_field(data, field, message.end, path, parts)
    array = np.concatenate(parts.arrays) if len(parts.arrays) > 1 else None
    if array is None:
        array = parts.arrays[0] if parts.arrays else np.zeros(0, np.float32)
    shape = parts.dims
    if parts.legacy:
        axes = ("num", "channels", "height", "width")
        shape = tuple(parts.legacy.get(axis, 0) for axis in axes)
    shape = shape if shape is not None else ()
    if math.prod(shape) != array.size:
        raise FileFormatError(
            f"blob {index} has {array.size} values; its shape {list(shape)} takes "
            f"{math.prod(shape)}.",
            file=path,
            layer=layer,
            remedy="Copy or download the file again.",
        )
    return array.reshape(shape)


def _read_blob_field(data: Any, field: WireField, end: int, path: str, parts: _BlobParts) -> int:
    """Take one field of a BlobProto; return where the next one to look at begins."""
    name = _BLOB_FIELDS.get(field.number)
    if name in ("num", "channels", "height", "width"):
        parts.legacy[str(name)] = field.value
    elif name == "shape":
        parts.dims = _dims(data, field, path)
    elif name == "data" and field.wire_type == wire.FIXED32:
        run, position = _unpacked_floats(data, field, end)
        parts.arrays.append(run)
        return position
    elif name in _READERS and field.wire_type == wire.LENGTH:
        parts.arrays.append(_READERS[str(name)](data, field))
    return field.end


def _dims(data: Any, message: WireField, path: str) -> Tuple[int, ...]:
    dims: List[int] = []
    for field in wire.fields(data, message.start, message.end, path):
        if field.wire_type == wire.VARINT:
            dims.append(field.value)
        else:
            dims.extend(int(dim) for dim in wire.packed_varints(data, field.start, field.end))
    return tuple(dims)


def _floats(data: Any, field: WireField) -> NDArray[np.float32]:
    return np.frombuffer(data, "<f4", (field.end - field.start) // 4, field.start)


def _doubles(data: Any, field: WireField) -> NDArray[np.float32]:
    values = np.frombuffer(data, "<f8", (field.end - field.start) // 8, field.start)
    return values.astype(np.float32)


def _int8(data: Any, field: WireField) -> NDArray[np.int8]:
    return np.frombuffer(data, np.int8, field.end - field.start, field.start)


def _int32(data: Any, field: WireField) -> NDArray[np.int32]:
    values = wire.packed_varints(data, field.start, field.end)
    return (values & _INT32_MASK).astype(np.uint32).view(np.int32)


def _uint64(data: Any, field: WireField) -> NDArray[np.uint64]:
    return wire.packed_varints(data, field.start, field.end)


def _unpacked_floats(data: Any, first: WireField, end: int) -> Tuple[NDArray[np.float32], int]:
    """Return the run of unpacked floats (one key byte each) that begins with ``first``."""
    start = first.start - 1
    rows = np.frombuffer(data, np.uint8, (end - start) // 5 * 5, start).reshape(-1, 5)
    others = np.flatnonzero(rows[:, 0] != data[start])
    count = int(others[0]) if others.size else len(rows)
    return rows[:count, 1:].copy().view("<f4").reshape(-1), start + 5 * count


_READERS = {
    "data": _floats,
    "double_data": _doubles,
    "int8_data": _int8,
    "int32_data": _int32,
    "uint64_data": _uint64,
}
_BLOB_FIELDS = {
    field_number("BlobProto", name): name
    for name in ("num", "channels", "height", "width", "shape", *_READERS)
}
