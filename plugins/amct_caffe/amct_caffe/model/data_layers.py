"""The data layers that a network's TEST phase has of its own, and what they do to images."""

from __future__ import annotations

import os
from typing import Iterator, List, Optional, Sequence

import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.caffemodel.blobs import array_of, read_stored_blob
from amct_caffe.model.formats.caffemodel.place import BlobPlace
from amct_caffe.model.formats.prototxt.document import NetDocument
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.layer_type import layer_type, role_of
from amct_caffe.model.layer_types.data import DataSource
from amct_caffe.model.parameters import Parameters
from amct_caffe.model.to_inference import data_blobs
from amct_core.errors import FileFormatError, ModelError
from amct_core.extensions import Role
from amct_core.extensions.frontend import ImageTransform
from amct_core.files import map_file

_SOURCES = (Role.DATA, Role.INPUT, Role.CONSTANT)


def own_data_layers(document: NetDocument, others: Sequence[str] = ()) -> List[Layer]:
    """Return copies of the data layers that the inputs of a TEST net come from.

    Args:
        document: the network.
        others: further blobs of data layers that are wanted, such as labels.

    Raises:
        ModelError: an input has none, or one that does not bring data by itself.
    """
    layers = document.layers_in("TEST")
    wanted = [*data_blobs(layers), *others]
    found: List[Layer] = []
    for layer in layers:
        role = role_of(layer)
        if not set(layer.tops) & set(wanted) or role not in _SOURCES:
            continue
        if role is Role.INPUT or _source_of(layer).is_fed:
            raise ModelError(
                f"it is of type '{layer.type}', which brings no data by itself.",
                file=document.file,
                layer=layer.name,
                remedy="Give the data as a file or folder.",
            )
        copy = layer.copy()
        copy.message.remove("include")
        copy.message.remove("exclude")
        found.append(copy)
    if not found:
        raise ModelError("it has no data layer in the TEST phase.", file=document.file)
    return found


def check_files(layers: Sequence[Layer], model_file: Optional[str]) -> None:
    """Check that the files of data layers are there: where one is not, Caffe ends the process.

    Raises:
        ModelError: naming the prototxt, the layer, the field, and the file that is missing.
    """
    for layer in layers:
        for field, path in files_of(layer):
            if not os.path.exists(path):
                raise ModelError(
                    f"there is no '{path}' (in '{os.getcwd()}').",
                    file=model_file,
                    layer=layer.name,
                    field=field,
                    remedy="Run in the folder that the network's paths start from, or correct it.",
                )


def files_of(layer: Layer) -> Iterator[tuple[str, str]]:
    """Yield each field of ``layer`` that names a file or folder, and what it names.

    What a list names is yielded as well, as far as the list is there.
    """
    mean_file = layer.parameters("transform_param").string("mean_file")
    if mean_file:
        yield "transform_param.mean_file", mean_file
    parameters = layer_type(layer).parameters
    message = layer.parameters(parameters)
    source = message.string("source")
    if not source:
        return
    yield f"{parameters}.source", source
    if os.path.isfile(source):
        for path in _source_of(layer).listed(source, message):
            yield f"{parameters}.source", path


def image_transform(document: NetDocument, blob: Optional[str]) -> ImageTransform:
    """Return what the data layer of input ``blob`` does to images in the TEST phase.

    Source: BVLC Caffe, ``DataTransformer::Transform``.

    Raises:
        ModelError: there is no such layer, or what it does depends on chance.
    """
    layer = _image_layer(document, blob)
    transform = Parameters(layer, "transform_param")
    if transform.boolean("mirror"):
        raise transform.error(
            "mirror",
            "it mirrors images at random, in the TEST phase too.",
            "Take it out of the TEST phase, or declare crop, mean and scale themselves.",
        )
    mean_file, values = transform.message.string("mean_file"), transform.numbers("mean_value")
    if mean_file and values:
        raise transform.error("mean_file", "it is given, and so is mean_value.", "Give one.")
    mean: Optional[NDArray[np.float32]] = None
    if mean_file:
        mean = read_mean(mean_file)
    elif values:
        mean = np.array(values, np.float32).reshape(-1, 1, 1)
    return ImageTransform(
        channels=_channels(layer, transform),
        crop=transform.integer("crop_size") or None,
        mean=mean,
        scale=transform.number("scale"),
    )


def _image_layer(document: NetDocument, blob: Optional[str]) -> Layer:
    layers = document.layers_in("TEST")
    inputs = data_blobs(layers)
    found = [
        layer
        for layer in layers
        if _source_of(layer).has_images and layer.tops and layer.tops[0] in inputs
    ]
    chosen = [layer for layer in found if blob in (None, layer.tops[0])]
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(f"'{layer.tops[0]}'" for layer in found) or "none"
    wanted = "one input" if blob is None else f"input '{blob}'"
    raise ModelError(
        f"inputs with a data layer for images in the TEST phase: {names}; expected {wanted}.",
        file=document.file,
        remedy="Name the input, or declare crop, mean and scale themselves.",
    )


def _channels(layer: Layer, transform: Parameters) -> Optional[str]:
    """Return the order of channels where the layer makes sure of it; OpenCV's is BGR."""
    own = _source_of(layer).channels(layer)
    if own is not None:
        return own
    if transform.boolean("force_gray"):
        return "GRAY"
    return "BGR" if transform.boolean("force_color") else None


def _source_of(layer: Layer) -> DataSource:
    found: Optional[DataSource] = layer_type(layer).data
    return DataSource() if found is None else found


def read_mean(path: str) -> NDArray[np.float32]:
    """Return the mean image of a ``binaryproto`` file, (C, H, W).

    Raises:
        FileFormatError: the file cannot be read, or holds no image.
    """
    buffer, place = map_file(path), BlobPlace(path, "mean", 0)
    blob = array_of(read_stored_blob(buffer, 0, len(buffer), place), place)
    if blob.ndim < 3 or blob.shape[:-3] not in ((), (1,)) or not blob.size:
        raise FileFormatError(
            f"it holds a blob of shape {blob.shape}; expected (1, channels, height, width).",
            file=path,
            remedy="Write it with Caffe's compute_image_mean.",
        )
    return np.array(blob, np.float32).reshape(blob.shape[-3:])
