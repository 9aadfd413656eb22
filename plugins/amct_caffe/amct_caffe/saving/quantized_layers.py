"""Reads from a fake-quant model which layers are quantized in it."""

from __future__ import annotations

from typing import Dict, List, Tuple

from amct_caffe.model.formats.prototxt.document import NetDocument
from amct_caffe.passes.python_layers import is_python_layer
from amct_core.accumulator_parts import whole_accumulator
from amct_core.lowering import layer_of_accumulator


def quantized_layers(document: NetDocument) -> Tuple[str, ...]:
    """Return the layers whose accumulators a DeQuant reads, in network order.

    A layer in parts, whose sums as a whole could exceed what float32 holds, counts once: each of
    its parts is called like its own blob.

    Args:
        document: the fake-quant model's prototxt.
    """
    producers: Dict[str, str] = {}
    found: List[str] = []
    for layer in document.layers_in("TEST"):
        if is_python_layer(layer, "DeQuant") and layer.bottoms:
            accumulator = layer.bottoms[0]
            producer = producers.get(accumulator, accumulator)
            in_parts = producer == accumulator
            found.append(
                layer_of_accumulator(whole_accumulator(accumulator)) if in_parts else producer
            )
        producers.update(dict.fromkeys(layer.tops, layer.name))
    return tuple(found)
