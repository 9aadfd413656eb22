"""Reads the parameters of inputs, and of layers between float32 and integers."""

from __future__ import annotations

from typing import Dict, List, Tuple

from amct_caffe.model.attributes.reader import Reader
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.parameters import Parameters
from amct_core.graph import attributes as a


def _dequant(layer: Layer) -> a.Attributes:
    return a.DeQuant()


def _input(layer: Layer) -> a.Attributes:
    found = Parameters(layer, "input_param").message.messages("shape")
    shapes: List[Tuple[int, ...]] = [tuple(shape.integers("dim")) for shape in found]
    if len(shapes) == 1:
        shapes *= len(layer.tops)
    return a.Input(tuple(shapes))


def _quant(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "quant_param")
    offsets = parameters.message.blobs("offset")
    if not offsets or len(offsets[-1]) != 1:
        raise parameters.error(
            "offset",
            f"found {len(offsets[-1]) if offsets else 'no'} bytes; expected one.",
            "Save the deployable model again.",
        )
    signed = int.from_bytes(offsets[-1], "big", signed=True)
    return a.Quant(parameters.number("scale"), signed)


READERS: Dict[str, Reader] = {
    "DeQuant": _dequant,
    "Input": _input,
    "Quant": _quant,
}
