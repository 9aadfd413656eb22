"""Renders a quantized model as the layers and blobs that ATC reads.

======================================  ============================================================
layer                                   blobs
======================================  ============================================================
Quant                                   none; ``quant_param`` has float32 ``scale`` = 1 / scale_d
                                        and ``offset``, one signed byte
Convolution, Deconvolution,             ``int8_data`` weights in Caffe's own layout; ``int32_data``
InnerProduct                            bias, if there is one
Pooling (AVE)                           none
DeQuant                                 one ``uint64_data`` blob, ``[C]`` or ``[1]``: deq_scale and
                                        N packed (:func:`amct_core.numerics.dequant.pack`)
======================================  ============================================================
"""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.prototxt.document import Layer
from amct_caffe.model.integer_layer import integer_layer, plain_layer
from amct_caffe.model.rendered import RenderedNetwork
from amct_core.graph import Node
from amct_core.graph.attributes import Pooling
from amct_core.lowering import DequantStep, FloatStep, IntegerStep, QuantStep, Step
from amct_core.numerics import dequant
from amct_core.quantized_model import QuantizedModel
from amct_core.textproto import Identifier, Message


def render_deploy(model: QuantizedModel) -> RenderedNetwork:
    """Return the layers and blobs of the deployable model, data and score layers still there."""
    layers: List[Layer] = []
    blobs: Dict[str, List[NDArray[Any]]] = {}
    for step in model.steps:
        layer, layer_blobs = _render(step)
        if isinstance(step, (IntegerStep, FloatStep)):
            _say_how_it_rounds(layer, step.node)
        layers.append(layer)
        if layer_blobs:
            blobs[layer.name] = layer_blobs
    return RenderedNetwork(tuple(layers), blobs)


def _render(step: Step) -> Tuple[Layer, List[NDArray[Any]]]:
    if isinstance(step, QuantStep):
        return _quant(step), []
    if isinstance(step, IntegerStep):
        integers = [blob for blob in (step.layer.weights, step.layer.bias) if blob is not None]
        return integer_layer(step, bias_term=step.layer.bias is not None), integers
    if isinstance(step, DequantStep):
        layer = step.layer
        packed = dequant.pack(layer.deq_scale, layer.shift_n, np.zeros_like(layer.shift_n))
        return Layer.create(step.name, "DeQuant", [step.bottom], [step.top]), [packed]
    assert isinstance(step, FloatStep)
    kept = plain_layer(step.node.source)
    kept.tops = list(step.node.tops)
    return kept, list(step.node.weights)


def _say_how_it_rounds(layer: Layer, node: Node) -> None:
    """Write how a Pooling rounds its size as ``round_mode``: ATC reads no ``ceil_mode``."""
    a = node.attributes
    if isinstance(a, Pooling) and not a.ceil_mode:
        parameters = layer.parameters("pooling_param")
        parameters.remove("ceil_mode")
        parameters.set("round_mode", Identifier("FLOOR"))


def _quant(step: QuantStep) -> Layer:
    layer = Layer.create(step.name, "Quant", [step.bottom], [step.top])
    parameters = Message()
    parameters.set("scale", float(step.layer.quant_scale))
    parameters.set("offset", step.layer.offset.to_bytes(1, "big", signed=True))
    layer.message.set("quant_param", parameters)
    return layer
