"""Caffe's Scale layer in int8: one weight, and at most one bias, per channel.

A Scale is linear in its input with weights fixed, which is all that a quantized layer must be: the
integer layer multiplies ``q - offset`` by an int8 weight, and ``scale_d * scale_w`` times that is
the float result.
"""

from __future__ import annotations

from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from amct_core.extensions import LayerType, Quantization, WeightAxes
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import Scale
from amct_core.graph.batch_norm import FoldChain, find_chain


def check(node: Node, graph: Graph) -> Optional[str]:
    """Return why a Scale does not qualify.

    It must have weights of its own along the channels, and must not be one that saving folds into
    the convolution before it.
    """
    attributes = node.attributes
    assert isinstance(attributes, Scale)
    if len(node.bottoms) != 1:
        return f"it has {len(node.bottoms)} bottoms, so its weights are data; expected one."
    if attributes.axis != 1 or attributes.num_axes != 1:
        return f"axis is {attributes.axis}, num_axes {attributes.num_axes}; expected 1 and 1."
    for other in graph.nodes:
        chain = find_chain(graph, other) if other.outputs else None
        if isinstance(chain, FoldChain) and chain.scale is node:
            return f"it is folded into '{other.name}'."
    return None


def accumulate(node: Node, centered: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return ``(q - offset) * w_q + bias``, int64, of ``centered = q - offset``, (N, C, ...)."""
    result = centered.astype(np.int64) * _per_channel(node.weights[0], centered.ndim)
    if len(node.weights) > 1:
        result += _per_channel(node.weights[1], centered.ndim)
    return result


def _per_channel(values: NDArray[Any], ndim: int) -> NDArray[np.int64]:
    return values.astype(np.int64).reshape((1, -1) + (1,) * (ndim - 2))


LAYER_TYPE = LayerType(
    "Scale",
    weights=WeightAxes(output=0),  # each weight is a channel
    quantization=Quantization(check, channel_wise_allowed=True),
    accumulate=accumulate,
)
