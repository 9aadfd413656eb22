"""What belongs together in a quantized model: Quant, the layer in integers, DeQuant."""

from __future__ import annotations

from typing import List, Optional

import attrs
import numpy as np

from amct_caffe.model.formats.prototxt.layer import Layer
from ascend_backend.lint.model import DeployModel

WEIGHTED_TYPES = ("Convolution", "Deconvolution", "InnerProduct")
"""Layers that multiply int8 inputs with int8 weights."""

TENSOR_TYPES = ("AntiQuant", "Concat", "Eltwise", "Pooling", "Split")
"""Layers that take int8 inputs and have no weights."""


@attrs.frozen(eq=False)
class QuantizedGroup:
    """A layer that reads a Quant and makes int32 accumulators, with what is around it.

    Attributes:
        quant: what it reads.
        layer: Convolution, Deconvolution, InnerProduct or AVE Pooling.
        dequant: what reads it, if that is one DeQuant and nothing else.
    """

    quant: Layer
    layer: Layer
    dequant: Optional[Layer]


def quantized_groups(model: DeployModel) -> List[QuantizedGroup]:
    """Return the layers that compute in integers, in order; what is broken is among them."""
    found = []
    for layer in model.layers:
        quant = model.wiring.producer(layer)
        if quant is None or quant.type != "Quant" or not makes_accumulators(layer):
            continue
        readers = model.wiring.consumers(layer)
        alone = len(readers) == 1 and readers[0].type == "DeQuant"
        found.append(QuantizedGroup(quant, layer, readers[0] if alone else None))
    return found


def makes_accumulators(layer: Layer) -> bool:
    """Return whether int8 inputs give int32 accumulators in a layer of this kind."""
    return layer.type in WEIGHTED_TYPES or is_average_pooling(layer)


def is_average_pooling(layer: Layer) -> bool:
    """Return whether ``layer`` is an AVE Pooling."""
    if layer.type != "Pooling":
        return False
    return layer.parameters("pooling_param").enum("pool", "MAX") in ("AVE", "1")


def quant_scale(quant: Layer) -> Optional[float]:
    """Return quant_param.scale as the float32 that protobuf makes of it; None if it is missing."""
    number = quant.parameters("quant_param").number("scale")
    with np.errstate(over="ignore"):
        return None if number is None else float(np.float32(number))


def quant_offset_bytes(quant: Layer) -> Optional[bytes]:
    """Return quant_param.offset as it is written; None if it is missing."""
    offsets = quant.parameters("quant_param").blobs("offset")
    return offsets[-1] if offsets else None


def quant_offset(quant: Layer) -> int:
    """Return the offset that ATC reads: the first byte, signed; 0 if there is none."""
    return int.from_bytes((quant_offset_bytes(quant) or b"\0")[:1], "big", signed=True)


def output_channels(layer: Layer) -> Optional[int]:
    """Return how many channels the output of a layer with weights has."""
    parameters = "inner_product_param" if layer.type == "InnerProduct" else "convolution_param"
    return layer.parameters(parameters).integer("num_output")
