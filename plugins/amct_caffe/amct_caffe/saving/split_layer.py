"""A quantized layer in parts, where its sums as a whole could exceed what float32 holds exactly."""

from __future__ import annotations

from typing import Any, List, Sequence, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.prototxt.document import Layer
from amct_caffe.model.integer_layer import integer_layer
from amct_core.accumulator_parts import part_names, weights_of_part
from amct_core.graph.attributes import Convolution
from amct_core.lowering import IntegerStep
from amct_core.textproto import Message

Rendered = Tuple[Layer, List[NDArray[Any]]]


def split_layer(step: IntegerStep, parts: Sequence[slice]) -> List[Rendered]:
    """Return the layers and blobs that compute the accumulators of ``parts``.

    A Slice cuts the input by channels (behind a Flatten for InnerProduct, which reads rows), and
    each part convolves its own.  Groups have their channels interleaved: there each part reads the
    whole input, with zeros for the weights of the others.
    """
    weights, op = step.layer.weights, step.node.op
    assert weights is not None
    rendered: List[Rendered] = []
    if _is_grouped(step):
        bottoms = [step.bottom] * len(parts)
    else:
        rendered, bottoms = _sliced_input(step, parts)
    for part, bottom, name in zip(parts, bottoms, part_names(step.top, len(parts))):
        layer = integer_layer(step, bias_term=False)
        layer.message.set("name", name)
        layer.bottoms, layer.tops = [bottom], [name]
        own = weights_of_part(op, weights, part)
        if _is_grouped(step):
            whole = np.zeros_like(weights)
            weights_of_part(op, whole, part)[...] = own
            own = whole
        rendered.append((layer, [own]))
    return rendered


def _is_grouped(step: IntegerStep) -> bool:
    attributes = step.node.attributes
    return isinstance(attributes, Convolution) and attributes.group > 1


def _sliced_input(step: IntegerStep, parts: Sequence[slice]) -> Tuple[List[Rendered], List[str]]:
    layers: List[Rendered] = []
    bottom = step.bottom
    if step.node.op == "InnerProduct":
        flat = f"{step.top}_flat"
        layers.append((Layer.create(flat, "Flatten", [bottom], [flat]), []))
        bottom = flat
    tops = [f"{step.top}_input{index}" for index in range(len(parts))]
    layer = Layer.create(f"{step.top}_slice", "Slice", [bottom], tops)
    slice_param = Message()
    slice_param.set("axis", 1)
    for part in parts[1:]:
        slice_param.add("slice_point", part.start)
    layer.message.set("slice_param", slice_param)
    layers.append((layer, []))
    return layers, tops
