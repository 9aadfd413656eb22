"""How many channels a blob has, as far as the layers before it tell."""

from __future__ import annotations

from typing import Optional

from amct_caffe.formats.prototxt.layer import Layer
from ascend_backend.lint.inputs import input_shapes
from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.quantized import WEIGHTED_TYPES, output_channels

_KEEP_CHANNELS = frozenset(
    {
        *("AbsVal", "BNLL", "BatchNorm", "Bias", "Clip", "DeQuant", "Dropout", "ELU", "Eltwise"),
        *("Exp", "LRN", "Log", "MVN", "PReLU", "Pooling", "Power", "Quant", "RReLU", "ReLU"),
        *("ReLU6", "Scale", "Sigmoid", "Softmax", "Split", "TanH", "Threshold"),
    }
)


def input_channels(model: DeployModel, layer: Layer) -> Optional[int]:
    """Return the channels (size of axis 1) of what ``layer`` reads; None where unknown."""
    producer = model.wiring.producer(layer)
    # A network has no more layers to go through than it has; a ring of them ends here.
    for _ in model.layers:
        if producer is None or producer.type not in _KEEP_CHANNELS:
            break
        producer = model.wiring.producer(producer)
    return None if producer is None else _made_channels(producer)


def _made_channels(layer: Layer) -> Optional[int]:
    if layer.type in WEIGHTED_TYPES:
        return output_channels(layer)
    if layer.type == "Input":
        shapes = input_shapes(layer)
        return shapes[0][1] if shapes and len(shapes[0]) > 1 else None
    return None


def filter_channels(model: DeployModel, layer: Layer) -> Optional[int]:
    """Return the input channels of a convolution by the shape of its filter."""
    blobs = model.blobs(layer)
    if not blobs or len(blobs[0].shape) < 2 or layer.type == "InnerProduct":
        return None
    if layer.type == "Deconvolution":
        return int(blobs[0].shape[0])
    return int(blobs[0].shape[1]) * (layer.parameters("convolution_param").integer("group", 1) or 1)
