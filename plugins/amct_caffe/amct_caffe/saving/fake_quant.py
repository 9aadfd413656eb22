"""The fake-quant model: the quantized network as unmodified Caffe runs it, in the integer domain.

Quant gives ``q - offset`` as integer-valued floats, the layer has integer-valued weights and no
bias, DeQuant adds the int32 bias, applies shift N and multiplies by ``deq_scale``.  A layer whose
sums could exceed what float32 holds exactly is split into parts, which DeQuant adds as integers.
"""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.prototxt.document import Layer
from amct_caffe.model.integer_layer import integer_layer
from amct_caffe.model.rendered import RenderedNetwork
from amct_caffe.passes.python_layers import python_layer
from amct_caffe.qat.parameters import DequantParameters, PoolingWindow, QuantParameters
from amct_caffe.saving.split_layer import Rendered, split_layer
from amct_core.accumulator_parts import accumulator_parts, part_names
from amct_core.graph.attributes import Pooling
from amct_core.lowering import DequantStep, FloatStep, IntegerStep, QuantStep, Step
from amct_core.numerics import exactness
from amct_core.quantized_model import QuantizedLayer, QuantizedModel


def render_fake_quant(model: QuantizedModel) -> RenderedNetwork:
    """Return the layers and blobs of the fake-quant model; data and score layers stay.

    Integer weights are still int8 in it, to be written as float32.
    """
    layers: List[Layer] = []
    blobs: Dict[str, List[NDArray[Any]]] = {}
    quant_tops: Dict[str, str] = {}
    for step in model.steps:
        for layer, layer_blobs in _render(step, quant_tops):
            layers.append(layer)
            if layer_blobs:
                blobs[layer.name] = layer_blobs
    return RenderedNetwork(tuple(layers), blobs)


def _render(step: Step, quant_tops: Dict[str, str]) -> List[Rendered]:
    if isinstance(step, QuantStep):
        parameters = QuantParameters(float(step.layer.quant_scale), step.layer.offset)
        return [(python_layer(step.name, "Quant", [step.bottom], [step.top], parameters), [])]
    if isinstance(step, IntegerStep):
        quant_tops[step.layer.name] = step.bottom
        return _integer_layers(step)
    if isinstance(step, DequantStep):
        return [_dequant(step, quant_tops[step.layer.name])]
    assert isinstance(step, FloatStep)
    layer = step.node.source.copy()
    layer.tops = list(step.node.tops)
    return [(layer, list(step.node.weights))]


def _integer_layers(step: IntegerStep) -> List[Rendered]:
    weights = step.layer.weights
    parts = accumulator_parts(step.node.type.weights, weights, step.layer.offset)
    if len(parts) > 1:
        return split_layer(step, parts)
    blobs = [] if weights is None else [weights]
    return [(integer_layer(step, bias_term=False), blobs)]


def _dequant(step: DequantStep, quant_top: str) -> Rendered:
    layer = step.layer
    window = _window(step)
    parameters = DequantParameters(
        scale_count=len(layer.deq_scale),
        bias_count=0 if layer.bias is None else len(layer.bias),
        window=window,
    )
    parts = accumulator_parts(step.node.type.weights, layer.weights, layer.offset)
    bottoms = list(part_names(step.bottom, len(parts)))
    if window is not None:
        # The pooling's input tells the true size of windows at the border.
        bottoms.append(quant_top)
    rendered = python_layer(step.name, "DeQuant", bottoms, [step.top], parameters)
    return rendered, _dequant_blobs(layer)


def _window(step: DequantStep) -> PoolingWindow | None:
    pooling = step.node.attributes
    if not isinstance(pooling, Pooling) or pooling.kernel is None:
        return None
    return PoolingWindow(pooling.kernel, pooling.stride, pooling.pad, pooling.ceil_mode)


def _dequant_blobs(layer: QuantizedLayer) -> List[NDArray[Any]]:
    blobs: List[NDArray[Any]] = [layer.deq_scale, layer.shift_n.astype(np.float32)]
    if layer.bias is not None:
        blobs.extend(exactness.split_bias(layer.bias))
    return blobs
