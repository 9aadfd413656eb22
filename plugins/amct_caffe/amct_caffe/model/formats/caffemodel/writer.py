"""Writes a weights file blob by blob, in constant memory."""

from __future__ import annotations

from typing import (
    IO,
    Any,
    Dict,
    Iterable,
    Iterator,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    Union,
)

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.caffemodel.wire import (
    LENGTH_DELIMITED,
    encode_bytes,
    encode_tag,
    encode_varint,
    encode_varints,
    varint_sizes,
)
from amct_caffe.model.schema.fields import field_number
from amct_core.errors import ModelError
from amct_core.textproto.scalars import as_bytes

Blobs = Sequence[NDArray[Any]]

_LIMIT = 2**31 - 1
"""Protobuf reads messages of less than 2 GiB."""


def write(
    stream: IO[bytes],
    name: str,
    layers: Iterable[Tuple[str, str, Blobs]],
    others: Optional[Mapping[str, bytes]] = None,
) -> None:
    """Write a weights file as Caffe does, in the present format.

    Floats become ``data`` (float32); int8, int32 and uint64 arrays go into the fields that Ascend
    adds for them.  Floats and int8 are written as they lie in memory, the others encoded one blob
    at a time.

    Args:
        stream: binary, open for writing.
        name: of the network.
        layers: name, type and blobs of each layer, in order.
        others: by layer name, the layer's other fields (bottoms, tops, parameters; name and type
            among them or not) in binary format.

    Raises:
        ModelError: a blob has another dtype, or a layer has 2 GiB or more.
    """
    stream.write(encode_bytes(field_number("NetParameter", "name"), as_bytes(name)))
    for layer, kind, blobs in layers:
        head = _head(layer, kind, (others or {}).get(layer, b""))
        encoders = [_Encoder.of(np.asarray(blob), layer) for blob in blobs]
        size = len(head) + sum(encoder.size for encoder in encoders)
        if size > _LIMIT:
            raise ModelError(
                f"its weights take {size} bytes; protobuf takes at most {_LIMIT}.", layer=layer
            )
        stream.write(encode_tag(field_number("NetParameter", "layer"), LENGTH_DELIMITED))
        stream.write(encode_varint(size))
        stream.write(head)
        for encoder in encoders:
            for part in encoder.parts():
                stream.write(part)


def _head(layer: str, kind: str, other: bytes) -> bytes:
    # Of a field that is not repeated the last value counts, so ours stand behind the others.
    name = encode_bytes(field_number("LayerParameter", "name"), as_bytes(layer))
    return other + name + encode_bytes(field_number("LayerParameter", "type"), as_bytes(kind))


@attrs.frozen
class _Encoder:
    """Writes one blob: what comes before its values, and the values."""

    array: NDArray[Any]
    prefix: bytes
    content_size: int

    @classmethod
    def of(cls, array: NDArray[Any], layer: str) -> _Encoder:
        """Return the encoder of one blob of ``layer``."""
        if np.issubdtype(array.dtype, np.floating):
            array = array.astype("<f4", copy=False)
        field = _FIELDS.get(array.dtype.name)
        if field is None:
            raise ModelError(
                f"it has weights of type {array.dtype}; expected float32, int8, int32 or uint64.",
                layer=layer,
            )
        size = int(varint_sizes(array).sum()) if field in _VARINT_FIELDS else array.nbytes
        dims = b"".join(encode_varint(dim) for dim in array.shape)
        shape = encode_bytes(field_number("BlobShape", "dim"), dims)
        content = encode_bytes(field_number("BlobProto", "shape"), shape)
        content += encode_tag(field_number("BlobProto", field), LENGTH_DELIMITED)
        content += encode_varint(size)
        prefix = encode_tag(field_number("LayerParameter", "blobs"), LENGTH_DELIMITED)
        return cls(array, prefix + encode_varint(len(content) + size) + content, size)

    @property
    def size(self) -> int:
        """Bytes that :meth:`parts` yields."""
        return len(self.prefix) + self.content_size

    def parts(self) -> Iterator[Union[bytes, memoryview]]:
        """Yield the blob's bytes."""
        yield self.prefix
        if _FIELDS[self.array.dtype.name] in _VARINT_FIELDS:
            yield encode_varints(self.array)
        else:
            yield np.ascontiguousarray(self.array).reshape(-1).view(np.uint8).data


_FIELDS: Dict[str, str] = {
    "float32": "data",
    "int8": "int8_data",
    "int32": "int32_data",
    "uint64": "uint64_data",
}
_VARINT_FIELDS = ("int32_data", "uint64_data")
