"""Walks a weights file and tells what stands in it, consistent or not."""

from __future__ import annotations

import functools
from typing import Dict, List, Tuple

import attrs

from amct_caffe.model.formats.caffemodel.blobs import StoredBlob, read_stored_blob
from amct_caffe.model.formats.caffemodel.place import BlobPlace
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
from amct_core.textproto.scalars import as_text

_MESSAGES = {"layer": "LayerParameter", "layers": "V1LayerParameter"}
_READ = ("name", "type", "blobs")


@attrs.frozen(eq=False, slots=False)
class StoredLayer:
    """An entry of a weights file.

    Attributes:
        name: of the layer.
        type: in Caffe's present words, such as ``Convolution``; empty if the file does not say.
        bottoms, tops: as the entry has them.
        is_v1: whether it is an entry of ``layers``, the format before ``layer``.
        is_v0: whether that holds a layer of the format before it, of 2013.
        other: all fields but name, type and blobs, in binary format, as they stand in the file.
    """

    name: str
    type: str
    bottoms: Tuple[str, ...]
    tops: Tuple[str, ...]
    is_v1: bool
    is_v0: bool
    other: bytes = attrs.field(repr=False)
    _blobs: Tuple[WireField, ...] = attrs.field(repr=False)
    _buffer: Buffer = attrs.field(repr=False)
    _file: str = attrs.field(repr=False)

    def place(self, index: int) -> BlobPlace:
        """Return which blob the one at ``index`` is, for messages."""
        return BlobPlace(self._file, self.name, index)

    @functools.cached_property
    def blobs(self) -> Tuple[StoredBlob, ...]:
        """The blobs in the file's order, decoded when they are first asked for.

        Raises:
            FileFormatError: the bytes of one are no BlobProto.
        """
        blobs = []
        for index, field in enumerate(self._blobs):
            _require_message(field, self._file)
            place = self.place(index)
            blobs.append(read_stored_blob(self._buffer, field.start, field.end, place))
        return tuple(blobs)


@attrs.frozen(eq=False)
class StoredModel:
    """What stands in a weights file: the network's name, and the layers in the file's order."""

    name: str
    layers: Tuple[StoredLayer, ...]


def scan(buffer: Buffer, file: str) -> StoredModel:
    """Return what stands in the weights file ``file`` with the contents ``buffer``.

    Nothing large is copied, or read before it is asked for.

    Raises:
        FileFormatError: the bytes are no protobuf message.
    """
    name = ""
    layers: List[StoredLayer] = []
    names = field_names("NetParameter")
    for field in walk(buffer, 0, len(buffer), file):
        field_name = names.get(field.number, "")
        if field_name == "name":
            name = _text(buffer, field, file)
        elif field_name in _MESSAGES:
            layers.append(_layer(buffer, field, field_name, file))
    return StoredModel(name, tuple(layers))


def _layer(buffer: Buffer, layer: WireField, form: str, file: str) -> StoredLayer:
    names = field_names(_MESSAGES[form])
    is_v1 = form == "layers"
    found: Dict[str, List[WireField]] = {}
    other: List[bytes] = []
    _require_message(layer, file)
    for field in walk(buffer, layer.start, layer.end, file):
        name = names.get(field.number, "")
        found.setdefault(name, []).append(field)
        if name not in _READ and not is_v1:
            other.append(bytes(buffer[field.begin : field.end]))

    def texts(name: str) -> Tuple[str, ...]:
        return tuple(_text(buffer, field, file) for field in found.get(name, ()))

    # Of a field that is not repeated the last value counts.
    if is_v1:
        types = tuple(_v1_type(buffer, field, file) for field in found.get("type", ()))
    else:
        types = texts("type")
    return StoredLayer(
        name=(texts("name") or ("",))[-1],
        type=(types or ("",))[-1],
        bottoms=texts("bottom"),
        tops=texts("top"),
        is_v1=is_v1,
        is_v0=is_v1 and "layer" in found,
        other=b"".join(other),
        blobs=tuple(found.get("blobs", ())),
        buffer=buffer,
        file=file,
    )


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
    return as_text(bytes(buffer[field.start : field.end]))


def _v1_type(buffer: Buffer, field: WireField, file: str) -> str:
    if field.wire_type != VARINT:
        _require_message(field, file)
    number, _ = read_varint(buffer, field.start, field.end, file)
    return v1_layer_type(str(number)) or ""
