"""Rounding to float16, which stands only in graphs of what a processor computes."""

from __future__ import annotations

from typing import Any, List, Sequence

import numpy as np
from numpy.typing import NDArray

from amct_core.extensions import LayerType, same_shape
from amct_core.graph import Node
from amct_core.graph.attributes import Float16
from amct_core.numerics import affine, float16

Array = NDArray[Any]


def run(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the input in float16, or what Quant and AntiQuant make of it, if the layer says so."""
    a = node.attributes
    assert isinstance(a, Float16)
    x = inputs[0]
    if a.through is not None:
        quantize = float16.quantize if a.through.float16 else affine.quantize
        q = quantize(x, a.through.scale, a.through.zero_point)
        scale_d = np.float32(1) / np.float32(a.scale)
        return [float16.dequantize(q, a.through.offset, scale_d)]
    return [float16.rounded(x)]


FLOAT16_LAYER = LayerType("Float16", shape=same_shape, run=run, by_sample=True)
"""How the layer type that a rewriting puts in is computed; no Caffe has it."""
