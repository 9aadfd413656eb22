"""A quantized layer in parts, where its sums as a whole could exceed what float32 holds exactly."""

from __future__ import annotations

from typing import Any, List, Sequence, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.prototxt.document import Layer
from amct_caffe.model.integer_layer import integer_layer
from amct_core.accumulator_parts import part_names, weights_of_part
from amct_core.extensions import PartInput, WeightAxes
from amct_core.graph.attributes import Convolution
from amct_core.lowering import IntegerStep
from amct_core.textproto import Message

Rendered = Tuple[Layer, List[NDArray[Any]]]


def split_layer(step: IntegerStep, parts: Sequence[slice]) -> List[Rendered]:
    """Return the layers and blobs that compute the accumulators of ``parts``.

    A Slice cuts the input by channels (behind a Flatten for a type that reads rows), and each part
    convolves its own.  Where that does not do, as with groups, whose channels are interleaved, each
    part reads the whole input, with zeros for the weights of the others.
    """
    weights, axes = step.layer.weights, step.node.type.weights
    assert weights is not None and axes is not None
    rendered: List[Rendered] = []
    reads = _part_input(step, axes)
    if reads is PartInput.WHOLE:
        bottoms = [step.bottom] * len(parts)
    else:
        rendered, bottoms = _sliced_input(step, parts, reads)
    for part, bottom, name in zip(parts, bottoms, part_names(step.top, len(parts))):
        layer = integer_layer(step, bias_term=False)
        layer.message.set("name", name)
        layer.bottoms, layer.tops = [bottom], [name]
        own = weights_of_part(axes, weights, part)
        if reads is PartInput.WHOLE:
            whole = np.zeros_like(weights)
            weights_of_part(axes, whole, part)[...] = own
            own = whole
        rendered.append((layer, [own]))
    return rendered


def _part_input(step: IntegerStep, axes: WeightAxes) -> PartInput:
    attributes = step.node.attributes
    grouped = isinstance(attributes, Convolution) and attributes.group > 1
    return PartInput.WHOLE if grouped else axes.part_input


def _sliced_input(
    step: IntegerStep, parts: Sequence[slice], reads: PartInput
) -> Tuple[List[Rendered], List[str]]:
    layers: List[Rendered] = []
    bottom = step.bottom
    if reads is PartInput.ROWS:
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
