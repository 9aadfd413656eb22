"""Reads a weights file as Caffe would take it: what is inconsistent or outdated is refused."""

from __future__ import annotations

import os
from typing import Union

from amct_caffe.model.formats.caffemodel.blobs import array_of
from amct_caffe.model.formats.caffemodel.model import CaffeModel, LayerWeights
from amct_caffe.model.formats.caffemodel.scan import StoredLayer, scan
from amct_core.errors import FileFormatError
from amct_core.files import map_file

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
    buffer = map_file(file)
    if bytes(buffer[: len(_HDF5)]) == _HDF5:
        raise FileFormatError(
            "found an HDF5 file; expected a binary Caffe model (.caffemodel).",
            file=file,
            remedy="Give the .caffemodel; ATC and this command read no other format.",
        )
    stored = scan(buffer, file)
    if not stored.layers:
        raise FileFormatError(
            "it holds no layer; expected a binary Caffe model (.caffemodel).",
            file=file,
            remedy="Check that the file is complete, and that model and weights are not swapped.",
        )
    if any(layer.is_v0 for layer in stored.layers):
        raise FileFormatError(
            "found a layer in the V0 format of 2013; expected V1 or the present format.",
            file=file,
            remedy="Convert it with Caffe's upgrade_net_proto_binary.",
        )
    if len({layer.is_v1 for layer in stored.layers}) > 1:
        raise FileFormatError(
            "found both 'layer' and 'layers' (V1); expected one of them.",
            file=file,
            remedy="Save the model again with a present Caffe.",
        )
    return CaffeModel(stored.name, tuple(_weights(layer) for layer in stored.layers), file)


def _weights(layer: StoredLayer) -> LayerWeights:
    arrays = (array_of(blob, layer.place(index)) for index, blob in enumerate(layer.blobs))
    return LayerWeights(layer.name, layer.type, tuple(arrays), layer.other)
