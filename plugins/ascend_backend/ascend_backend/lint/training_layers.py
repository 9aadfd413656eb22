"""Takes data, loss and accuracy layers out of a model in AMCT's layout before it is linted.

The layout is recognised by its Quant and DeQuant layers: a float model with such layers was never
saved by AMCT or by us, and stays as it is.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence

from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.inference_network import (
    InferenceLayers,
    has_training_layers,
    inference_layers,
    shapes_for_inference,
)
from amct_caffe.model.network import read_network
from amct_core.errors import AmctError
from amct_core.extensions.layer_type import Shape
from ascend_backend.lint.layer_types import QUANTIZATION_TYPES


def without_training_layers(
    layers: Sequence[Layer], model_file: str, weights_file: str
) -> InferenceLayers:
    """Return what remains of ``layers``, and what has been taken out.

    Layers that remain are the same objects.  A network that cannot be analysed stays whole: its
    faults are what other rules report.

    Args:
        layers: those that ATC keeps, in order.
        model_file, weights_file: where they come from; they may tell the shapes of inputs.
    """
    whole = InferenceLayers(layers, ())
    if not any(layer.type in QUANTIZATION_TYPES for layer in layers):
        return whole
    try:
        if not has_training_layers(layers):
            return whole
        left = inference_layers(layers, _shapes(model_file, weights_file).get)
    except AmctError:
        return whole
    originals = {(layer.name, layer.type): layer for layer in layers}
    remaining: List[Layer] = [originals.get((each.name, each.type), each) for each in left.layers]
    return InferenceLayers(remaining, left.taken_out)


def _shapes(model_file: str, weights_file: str) -> Dict[str, Optional[Shape]]:
    """Return the shapes of the inputs, as far as they are known; none if the files are faulty."""
    try:
        return shapes_for_inference(read_network(model_file, weights_file))
    except AmctError:
        return {}
