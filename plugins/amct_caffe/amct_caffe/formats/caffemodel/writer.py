"""Writes a caffemodel blob by blob.

Only what a reader of weights looks at is written: names, types and blobs, and for layers that came
from a file the other fields that they had.  The network's definition is the prototxt.
"""

from __future__ import annotations

from typing import IO, Any, Callable, Dict, Iterable, List, Mapping, Sequence, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_caffe.formats.caffemodel import wire
from amct_caffe.schema.fields import field_number

Blobs = Sequence[NDArray[Any]]


def write(
    stream: IO[bytes],
    name: str,
    layers: Iterable[Tuple[str, str, Blobs]],
    others: Mapping[str, bytes] | None = None,
) -> None:
    """Write a caffemodel.

    Args:
        stream: binary, open for writing.
        name: of the network.
        layers: (name, type, blobs) of each layer; float blobs are written as float32, int8, int32
            and uint64 blobs in the fields that Ascend's proto adds for them.
        others: the remaining fields of layers by name, as read; they hold name and type.
    """
    stream.write(wire.length_delimited(field_number("NetParameter", "name"), name.encode("utf-8")))
    for layer, kind, blobs in layers:
        head = (others or {}).get(layer) or _head(layer, kind)
        parts = [_blob_parts(np.asarray(blob)) for blob in blobs]
        key = wire.key(field_number("LayerParameter", "blobs"), wire.LENGTH)
        sizes = [sum(len(part) for part in blob) for blob in parts]
        framed = [key + wire.encode_varint(size) for size in sizes]
        total = len(head) + sum(map(len, framed)) + sum(sizes)
        stream.write(wire.key(field_number("NetParameter", "layer"), wire.LENGTH))
        stream.write(wire.encode_varint(total))
        stream.write(head)
        for frame, blob in zip(framed, parts):
            stream.write(frame)
            for part in blob:
                stream.write(part)


def _head(layer: str, kind: str) -> bytes:
    name = wire.length_delimited(field_number("LayerParameter", "name"), layer.encode("utf-8"))
    return name + wire.length_delimited(
        field_number("LayerParameter", "type"), kind.encode("utf-8")
    )


def _blob_parts(blob: NDArray[Any]) -> List[Any]:
    """Return the contents of a BlobProto as buffers, the values themselves uncopied if possible."""
    field, encode = _encoding(blob)
    contents = encode(blob)
    dims = wire.encode_varints(np.asarray(blob.shape, np.int64))
    shape = wire.length_delimited(field_number("BlobShape", "dim"), dims)
    head = wire.length_delimited(field_number("BlobProto", "shape"), shape)
    head += wire.key(field_number("BlobProto", field), wire.LENGTH)
    return [head + wire.encode_varint(len(contents)), contents]


def _encoding(blob: NDArray[Any]) -> Tuple[str, Callable[[NDArray[Any]], Any]]:
    integer = _INTEGER_FIELDS.get(blob.dtype.name)
    if integer is not None:
        return integer
    return "data", _float_bytes


def _float_bytes(blob: NDArray[Any]) -> memoryview:
    return memoryview(np.ascontiguousarray(blob, "<f4").reshape(-1)).cast("B")


def _int8_bytes(blob: NDArray[Any]) -> memoryview:
    return memoryview(np.ascontiguousarray(blob).reshape(-1)).cast("B")


_INTEGER_FIELDS: Dict[str, Tuple[str, Callable[[NDArray[Any]], Any]]] = {
    "int8": ("int8_data", _int8_bytes),
    "int32": ("int32_data", wire.encode_varints),
    "uint64": ("uint64_data", wire.encode_varints),
}
