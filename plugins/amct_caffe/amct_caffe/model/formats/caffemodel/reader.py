"""Reads a weights file through a memory map: large blobs are never copied."""

from __future__ import annotations

import mmap
import os
from typing import List, Union

from amct_caffe.model.formats.caffemodel.blobs import BlobPlace, read_blob
from amct_caffe.model.formats.caffemodel.model import CaffeModel, LayerWeights
from amct_caffe.model.formats.caffemodel.wire import (
    LENGTH_DELIMITED,
    VARINT,
    Buffer,
    WireField,
    read_varint,
    walk,
)
from amct_caffe.model.formats.v1 import v1_layer_type
from amct_caffe.model.schema.fields import field_names
from amct_core.errors import FileFormatError

_LAYER_TYPES = {"layer": "LayerParameter", "layers": "V1LayerParameter"}
_HDF5 = b"\x89HDF\r\n\x1a\n"


def read(path: Union[str, os.PathLike[str]]) -> CaffeModel:
    """Return the layers of a ``.caffemodel`` file.

    Files of the V1 format (``layers``) are upgraded: types get their present names.  The arrays are
    views of the file, which stays mapped while one of them lives; it must not be changed in place
    meanwhile (replacing it by renaming, as FileSet does, is fine).

    Raises:
        FileFormatError: the file cannot be read, is cut off, is not a binary Caffe model, holds no
            layer, or has a blob whose elements do not fit its shape.
    """
    file = os.fspath(path)
    try:
        with open(file, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            buffer: Buffer = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
    except OSError as error:
        raise FileFormatError(
            f"cannot be read: {error.strerror or error}.", file=file, remedy="Check the path."
        ) from error
    return _model(buffer, file)


def _model(buffer: Buffer, file: str) -> CaffeModel:
    if bytes(buffer[: len(_HDF5)]) == _HDF5:
        raise FileFormatError(
            "found an HDF5 file; expected a binary Caffe model (.caffemodel).",
            file=file,
            remedy="Save the snapshot with snapshot_format: BINARYPROTO.",
        )
    name = ""
    layers: List[LayerWeights] = []
    names = field_names("NetParameter")
    seen = set()
    for field in walk(buffer, 0, len(buffer), file):
        field_name = names.get(field.number, "")
        if field_name == "name":
            name = _text(buffer, field, file)
        elif field_name in _LAYER_TYPES:
            seen.add(field_name)
            layers.append(_layer(buffer, field, _LAYER_TYPES[field_name], file))
    if not layers:
        raise FileFormatError(
            "it holds no layer; expected a binary Caffe model (.caffemodel).",
            file=file,
            remedy="Check that the file is complete, and that model and weights are not swapped.",
        )
    if len(seen) > 1:
        raise FileFormatError(
            "found both 'layer' and 'layers' (V1); expected one of them.",
            file=file,
            remedy="Save the model again with a present Caffe.",
        )
    return CaffeModel(name, tuple(layers), file)


def _layer(buffer: Buffer, layer: WireField, type_name: str, file: str) -> LayerWeights:
    names = field_names(type_name)
    is_v1 = type_name == "V1LayerParameter"
    name = kind = ""
    blobs: List[WireField] = []
    other: List[bytes] = []
    for field in _inside(buffer, layer, file):
        field_name = names.get(field.number)
        if field_name == "name":
            name = _text(buffer, field, file)
        elif field_name == "type":
            kind = _v1_type(buffer, field, file) if is_v1 else _text(buffer, field, file)
        elif field_name == "blobs":
            blobs.append(field)
        elif is_v1 and field_name == "layer":
            raise FileFormatError(
                "found a layer in the V0 format of 2013; expected V1 or the present format.",
                file=file,
                remedy="Convert it with Caffe's upgrade_net_proto_binary.",
            )
        elif not is_v1:
            other.append(bytes(buffer[field.begin : field.end]))
    arrays = []
    for index, field in enumerate(blobs):
        _require_message(field, file)
        place = BlobPlace(file, name, index)
        arrays.append(read_blob(buffer, field.start, field.end, place))
    return LayerWeights(name, kind, tuple(arrays), b"".join(other))


def _inside(buffer: Buffer, field: WireField, file: str) -> List[WireField]:
    _require_message(field, file)
    return list(walk(buffer, field.start, field.end, file))


def _require_message(field: WireField, file: str) -> None:
    if field.wire_type != LENGTH_DELIMITED:
        raise FileFormatError(
            f"byte {field.begin}: field {field.number} has wire type {field.wire_type}; expected "
            f"{LENGTH_DELIMITED}.",
            file=file,
            remedy="Check that the file is a binary Caffe model, and complete.",
        )


def _text(buffer: Buffer, field: WireField, file: str) -> str:
    _require_message(field, file)
    return bytes(buffer[field.start : field.end]).decode("utf-8", errors="replace")


def _v1_type(buffer: Buffer, field: WireField, file: str) -> str:
    if field.wire_type != VARINT:
        _require_message(field, file)
    number, _ = read_varint(buffer, field.start, field.end, file)
    return v1_layer_type(str(number)) or ""
