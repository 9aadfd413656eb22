"""Reads the parameters of layers that move values."""

from __future__ import annotations

from typing import Dict

from amct_caffe.model.attributes.reader import Reader
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.parameters import Parameters
from amct_core.graph import attributes as a


def _concat(layer: Layer) -> a.Attributes:
    return a.Concat(_axis(Parameters(layer, "concat_param"), "concat_dim"))


def _crop(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "crop_param")
    return a.Crop(parameters.integer("axis"), tuple(parameters.integers("offset")))


def _flatten(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "flatten_param")
    return a.Flatten(parameters.integer("axis"), parameters.integer("end_axis"))


def _permute(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "permute_param")
    order = parameters.integers("order")
    if len(set(order)) != len(order):
        raise parameters.error("order", f"it names an axis twice: {order}.", "Name each axis once.")
    return a.Permute(tuple(order))


def _reshape(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "reshape_param")
    shape = parameters.message.message("shape")
    dims = tuple(shape.integers("dim")) if shape is not None else ()
    return a.Reshape(dims, parameters.integer("axis"), parameters.integer("num_axes"))


def _slice(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "slice_param")
    return a.Slice(_axis(parameters, "slice_dim"), tuple(parameters.integers("slice_point")))


def _tile(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "tile_param")
    return a.Tile(tiles=parameters.integer("tiles"), axis=parameters.integer("axis"))


def _axis(parameters: Parameters, old_name: str) -> int:
    return parameters.integer(old_name if parameters.has(old_name) else "axis")


READERS: Dict[str, Reader] = {
    "Concat": _concat,
    "Crop": _crop,
    "Flatten": _flatten,
    "Permute": _permute,
    "Reshape": _reshape,
    "Slice": _slice,
    "Tile": _tile,
}
