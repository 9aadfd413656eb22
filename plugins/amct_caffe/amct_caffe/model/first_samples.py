"""Looks at the first sample of a data layer's files, for its shape.

Insertion works on machines without the data and without the libraries that read them: whatever is
not there is no error, and the shape stays unknown.

Formats: BVLC Caffe, message ``Datum``; data_layer.cpp, hdf5_data_layer.cpp, image_data_layer.cpp
and data_transformer.cpp (``InferBlobShape``).
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
from typing import IO, Any, Callable, List, Optional, Tuple

from google.protobuf.message import DecodeError

from amct_caffe.model.formats.databases import records
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.schema.pool import message_class
from amct_core.errors import AmctError
from amct_core.files import read_text

Shape = Tuple[int, ...]
Shapes = List[Optional[Shape]]
ImageShape = Tuple[int, int, int]
"""(channels, height, width)."""

_log = logging.getLogger("amct_caffe.model")

_COLOUR, _GRAY = 3, 1
_CHANNELS = {"1": 1, "L": 1, "I": 1, "I;16": 1, "RGB": 3, "CMYK": 3, "YCbCr": 3, "RGBA": 4}
"""By mode of Pillow, of an image that is decoded as it is."""

_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)
_LMDB = ("LMDB", "1")


def shapes_by_files(layer: Layer, look: Callable[[Layer], Shapes]) -> Shapes:
    """Return the shapes of the tops of ``layer`` that ``look`` finds in its files; [] if none."""
    try:
        return look(layer)
    except ImportError as error:
        reason = f"'{error.name}' is not installed"
    except (AmctError, DecodeError, KeyError, OSError, ValueError) as error:
        reason = str(error)
    _log.info("layer '%s': its files do not tell the shape of its data: %s", layer.name, reason)
    return []


def database(layer: Layer) -> Shapes:
    """Return the shape of the first Datum of an LMDB, cropped."""
    parameters = layer.parameters("data_param")
    source, batch = parameters.string("source") or "", parameters.integer("batch_size") or 1
    if (parameters.enum("backend") or "LEVELDB") not in _LMDB:
        raise OSError("a LevelDB cannot be read here")
    image = _datum_shape(_first_value(source), layer)
    return [None if image is None else (batch, *_cropped(layer, image)), (batch,)]


def hdf5(layer: Layer) -> Shapes:
    """Return the shapes of the data sets of the first file, one for each top."""
    import h5py

    parameters = layer.parameters("hdf5_data_param")
    listed, batch = parameters.string("source") or "", parameters.integer("batch_size") or 1
    with h5py.File(read_text(listed).split()[0], "r") as file:
        return [(batch, *file[top].shape[1:]) for top in layer.tops]


def image_files(layer: Layer) -> Shapes:
    """Return the shape of the first image of the list, cropped."""
    parameters = layer.parameters("image_data_param")
    batch, colour = parameters.integer("batch_size") or 1, parameters.boolean("is_color", True)
    lines = read_text(parameters.string("source") or "").splitlines()
    first = next(line for line in lines if line.strip())
    with open((parameters.string("root_folder") or "") + first.rsplit(" ", 1)[0], "rb") as stream:
        image = _image_shape(stream, _COLOUR if colour else _GRAY)
    return [None if image is None else (batch, *_cropped(layer, image)), (batch,)]


def _first_value(path: str) -> bytes:
    if not os.path.exists(path):
        raise OSError(f"there is no '{path}'")
    with contextlib.closing(records(path)) as found:
        return next(found)[1]


def _datum_shape(content: bytes, layer: Layer) -> Optional[ImageShape]:
    datum: Any = message_class("Datum").FromString(content)
    if not datum.encoded:
        return datum.channels, datum.height, datum.width
    transform = layer.parameters("transform_param")
    channels = _COLOUR if transform.boolean("force_color", False) else None
    channels = _GRAY if transform.boolean("force_gray", False) else channels
    return _image_shape(io.BytesIO(datum.data), channels)


def _image_shape(stream: IO[bytes], channels: Optional[int]) -> Optional[ImageShape]:
    """Return the shape of an image from its header; None where versions of OpenCV may differ.

    Newer ones turn an image upright as its Exif says, unless they decode it as it is.

    Args:
        stream: the encoded image.
        channels: that it is made to have; None: it is decoded as it is.
    """
    from PIL import Image

    with Image.open(stream) as image:
        width, height = image.size
        found = channels or _CHANNELS.get(image.mode)
        turned = channels is not None and image.getexif().get(_ORIENTATION) in _TURNED
    if found is None or (turned and width != height):
        return None
    return found, height, width


def _cropped(layer: Layer, image: ImageShape) -> ImageShape:
    crop = layer.parameters("transform_param").integer("crop_size")
    return (image[0], crop, crop) if crop else image
