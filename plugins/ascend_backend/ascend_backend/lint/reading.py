"""Reads a model for the lint: leniently, so that every fault is found and none ends the search.

Only a file that is no prototxt or no protobuf message at all is an error here.
"""

from __future__ import annotations

import mmap
import os
from typing import Dict, Iterator, List, Optional, Tuple

from amct_caffe.model.formats.caffemodel.blobs import BlobPlace, StoredBlob, read_stored_blob
from amct_caffe.model.formats.caffemodel.wire import LENGTH_DELIMITED, Buffer, WireField, walk
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.schema.fields import field_number
from amct_core.errors import FileFormatError
from amct_core.files import read_text
from amct_core.textproto import Message, parse
from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.weights_file import StoredLayer, WeightsFile
from ascend_backend.targets import Target

_INPUT_DIMS = 4
"""Net-level ``input_dim`` has four numbers per input."""
_NAME, _TYPE, _BOTTOM, _TOP, _BLOBS = (
    field_number("LayerParameter", field) for field in ("name", "type", "bottom", "top", "blobs")
)
_TEXTS = (_NAME, _TYPE, _BOTTOM, _TOP)


def read_model(model_file: str, weights_file: str, target: Optional[Target] = None) -> DeployModel:
    """Read a prototxt and its weights file.

    Raises:
        FileFormatError: a file is missing, no text in prototxt's syntax, or no protobuf message.
    """
    net = parse(read_text(model_file), model_file)
    declared = tuple(Layer(message) for message in net.messages("layer"))
    kept = [layer for layer in declared if not is_dropped(layer)]
    return DeployModel(
        net=net,
        declared=declared,
        layers=(*kept, *net_inputs(net)),
        weights=read_weights(weights_file),
        target=target,
        file=model_file,
    )


def is_dropped(layer: Layer) -> bool:
    """Return whether ATC drops ``layer``: an ``include`` of it has phase TRAIN, the default.

    Source: ``CheckValidLayer`` of hicann/ge parser/parser/caffe/caffe_parser.cc.
    """
    phases = [include.enum("phase", "TRAIN") for include in layer.message.messages("include")]
    return any(phase in ("TRAIN", "0") for phase in phases)


def net_inputs(net: Message) -> Iterator[Layer]:
    """Yield the ``Input`` layers that stand for net-level ``input`` fields."""
    dims = net.integers("input_dim")
    shapes = [shape.integers("dim") for shape in net.messages("input_shape")]
    if dims:
        shapes = [dims[i : i + _INPUT_DIMS] for i in range(0, len(dims), _INPUT_DIMS)]
    for index, name in enumerate(net.strings("input")):
        layer = Layer.create(name, "Input", [], [name])
        if index < len(shapes):
            parameters, shape = Message(), Message()
            shape.set_all("dim", shapes[index])
            parameters.add("shape", shape)
            layer.message.add("input_param", parameters)
        yield layer


def read_weights(path: str) -> WeightsFile:
    """Read a weights file.

    Raises:
        FileFormatError: it is missing or no protobuf message.
    """
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            buffer: Buffer = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
    except OSError as error:
        raise FileFormatError(
            f"cannot be read: {error.strerror or error}.", file=path, remedy="Check the path."
        ) from error
    layers: List[StoredLayer] = []
    v1_layers = 0
    for field in walk(buffer, 0, len(buffer), path):
        if field.number == field_number("NetParameter", "layer"):
            layers.append(_layer(buffer, field, path))
        elif field.number == field_number("NetParameter", "layers"):
            v1_layers += 1
    return WeightsFile(tuple(layers), v1_layers, path)


def _layer(buffer: Buffer, layer: WireField, path: str) -> StoredLayer:
    texts: Dict[int, List[str]] = {number: [] for number in _TEXTS}
    blobs: List[WireField] = []
    for field in _inside(buffer, layer, path):
        if field.number in texts:
            texts[field.number].append(_text(buffer, field, path))
        elif field.number == _BLOBS:
            blobs.append(field)
    # Of a field that is not repeated the last value counts.
    name, kind = ((texts[number] or [""])[-1] for number in (_NAME, _TYPE))
    return StoredLayer(
        name,
        kind,
        tuple(_blobs(buffer, blobs, name, path)),
        bottoms=tuple(texts[_BOTTOM]),
        tops=tuple(texts[_TOP]),
    )


def _blobs(buffer: Buffer, fields: List[WireField], layer: str, path: str) -> Iterator[StoredBlob]:
    for index, field in enumerate(fields):
        _require_message(field, path)
        yield read_stored_blob(buffer, field.start, field.end, BlobPlace(path, layer, index))


def _inside(buffer: Buffer, field: WireField, path: str) -> Tuple[WireField, ...]:
    _require_message(field, path)
    return tuple(walk(buffer, field.start, field.end, path))


def _text(buffer: Buffer, field: WireField, path: str) -> str:
    _require_message(field, path)
    return bytes(buffer[field.start : field.end]).decode("utf-8", errors="replace")


def _require_message(field: WireField, path: str) -> None:
    if field.wire_type != LENGTH_DELIMITED:
        raise FileFormatError(
            f"byte {field.begin}: field {field.number} has wire type {field.wire_type}; expected "
            f"{LENGTH_DELIMITED}.",
            file=path,
            remedy="Check that the file is a binary Caffe model, and complete.",
        )
