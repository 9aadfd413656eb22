"""The shapes of what data layers bring in, as far as their own parameters tell."""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, Tuple

from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.parameters import Parameters

Shape = Tuple[int, ...]

_COLOUR_CHANNELS = 3


def data_shapes(layer: Layer) -> Tuple[Optional[Shape], ...]:
    """Return the shape of each top of a data layer, batch size first; None where it is not told.

    Sources: ``LayerSetUp`` of BVLC Caffe's data layers.
    """
    rule = _RULES.get(layer.type)
    known = rule(layer) if rule is not None else []
    tops = len(layer.tops)
    return tuple((*known, *[None] * tops)[:tops])


def with_channels(layer: Layer, channels: int) -> Tuple[Optional[Shape], ...]:
    """Return the shapes of a ``Data`` layer whose images have ``channels`` channels.

    The database knows their number, and so do the weights of a layer that reads them; with a
    ``crop_size`` nothing else is missing.
    """
    known = data_shapes(layer)
    crop = Parameters(layer, "transform_param").integer("crop_size")
    if layer.type != "Data" or not known or known[0] is not None or not crop:
        return known
    batch = Parameters(layer, "data_param").integer("batch_size")
    return ((batch, channels, crop, crop), *known[1:])


def _data(layer: Layer) -> List[Optional[Shape]]:
    # Channels, height and width are in the database.
    return [None, (Parameters(layer, "data_param").integer("batch_size"),)]


def _image_data(layer: Layer) -> List[Optional[Shape]]:
    parameters = Parameters(layer, "image_data_param")
    batch = parameters.integer("batch_size")
    channels = _COLOUR_CHANNELS if parameters.boolean("is_color") else 1
    crop = Parameters(layer, "transform_param").integer("crop_size")
    height, width = parameters.integer("new_height"), parameters.integer("new_width")
    if crop:
        height = width = crop
    shape = (batch, channels, height, width)
    return [shape if height and width else None, (batch,)]


def _window_data(layer: Layer) -> List[Optional[Shape]]:
    batch = Parameters(layer, "window_data_param").integer("batch_size")
    crop = Parameters(layer, "transform_param").integer("crop_size")
    return [(batch, _COLOUR_CHANNELS, crop, crop) if crop else None, (batch,)]


def _memory_data(layer: Layer) -> List[Optional[Shape]]:
    parameters = Parameters(layer, "memory_data_param")
    names = ("batch_size", "channels", "height", "width")
    shape = tuple(parameters.integer(name) for name in names)
    return [shape, shape[:1]]


def _dummy_data(layer: Layer) -> List[Optional[Shape]]:
    parameters = Parameters(layer, "dummy_data_param")
    shapes = [tuple(shape.integers("dim")) for shape in parameters.message.messages("shape")]
    axes = [parameters.integers(name) for name in ("num", "channels", "height", "width")]
    if all(axes):
        shapes = [
            tuple(sizes[min(top, len(sizes) - 1)] for sizes in axes)
            for top in range(len(layer.tops))
        ]
    if len(shapes) == 1:
        shapes *= len(layer.tops)
    return list(shapes)


_RULES: Dict[str, Callable[[Layer], List[Optional[Shape]]]] = {
    "Data": _data,
    "DummyData": _dummy_data,
    "ImageData": _image_data,
    "MemoryData": _memory_data,
    "WindowData": _window_data,
}
