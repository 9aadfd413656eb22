"""Quant and DeQuant, which stand around a quantized layer in a deployable model.

Source: ``QuantParameter`` of Ascend's caffe.proto.
"""

from __future__ import annotations

from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.parameters import Parameters
from amct_core.extensions import LayerType, same_shape
from amct_core.graph.attributes import DeQuant, Quant


def _read_quant(layer: Layer) -> Quant:
    parameters = Parameters(layer, "quant_param")
    offsets = parameters.message.blobs("offset")
    if not offsets or len(offsets[-1]) != 1:
        raise parameters.error(
            "offset",
            f"found {len(offsets[-1]) if offsets else 'no'} bytes; expected one.",
            "Save the deployable model again.",
        )
    signed = int.from_bytes(offsets[-1], "big", signed=True)
    return Quant(parameters.number("scale"), signed)


LAYER_TYPES = (
    LayerType("DeQuant", attributes=lambda layer: DeQuant(), shape=same_shape),
    LayerType("Quant", parameters="quant_param", attributes=_read_quant, shape=same_shape),
)
