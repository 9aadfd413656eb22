"""What belongs together in a quantized model: Quant, the layer in integers, DeQuant."""

from __future__ import annotations

from typing import List, Optional

import attrs

from amct_caffe.model.formats.prototxt.layer import Layer
from ascend_backend.lint.model import DeployModel

WEIGHTED_TYPES = ("Convolution", "Deconvolution", "InnerProduct")
"""Layers that multiply int8 inputs with int8 weights."""

TENSOR_TYPES = ("AntiQuant", "Concat", "Eltwise", "Pooling", "Split")
"""Layers that take int8 inputs and have no weights."""


@attrs.frozen(eq=False)
class QuantizedLayer:
    """A layer that reads a Quant and makes int32 accumulators.

    Attributes:
        quant: what it reads.
        layer: Convolution, Deconvolution, InnerProduct or AVE Pooling.
        dequant: what reads it, if that is one DeQuant and nothing else.
    """

    quant: Layer
    layer: Layer
    dequant: Optional[Layer]


def quantized_layers(model: DeployModel) -> List[QuantizedLayer]:
    """Return the layers that compute in integers, in order."""
    found = []
    for layer in model.layers:
        quant = model.wiring.producer(layer)
        if quant is None or quant.type != "Quant" or not makes_accumulators(layer):
            continue
        readers = model.wiring.consumers(layer)
        alone = len(readers) == 1 and readers[0].type == "DeQuant"
        found.append(QuantizedLayer(quant, layer, readers[0] if alone else None))
    return found


def makes_accumulators(layer: Layer) -> bool:
    """Return whether int8 inputs give int32 accumulators in a layer of this kind."""
    return layer.type in WEIGHTED_TYPES or is_average_pooling(layer)


def is_average_pooling(layer: Layer) -> bool:
    """Return whether ``layer`` is an AVE Pooling."""
    if layer.type != "Pooling":
        return False
    return layer.parameters("pooling_param").enum("pool", "MAX") in ("AVE", "1")


def output_channels(layer: Layer) -> Optional[int]:
    """Return how many channels the output of a layer with weights has."""
    parameters = "inner_product_param" if layer.type == "InnerProduct" else "convolution_param"
    return layer.parameters(parameters).integer("num_output")
