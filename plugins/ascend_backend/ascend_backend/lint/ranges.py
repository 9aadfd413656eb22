"""How large the numbers around a DeQuant can become."""

from __future__ import annotations

from typing import List, Optional, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.graph import Graph, Node
from amct_core.graph.attributes import Quant
from amct_core.numerics.affine import QUANT_MAX, QUANT_MIN
from ascend_backend.lint.fusion import Fused
from ascend_backend.merging import is_relu, is_removable, readers

_LARGEST_INT32 = float(np.iinfo(np.int32).max)


@attrs.frozen
class Reach:
    """What a Quant tells apart.

    Attributes:
        quant: its name.
        value: the magnitude from which on int8 saturates, in units of int8.
        scale: of the Quant.
        merged: whether the DeQuant before it gives such units.
    """

    quant: str
    value: float
    scale: float
    merged: bool


def largest_quantized(found: Fused, dequant: Node) -> Optional[Reach]:
    """Return the largest magnitude that a Quant behind ``dequant`` tells apart; None without one.

    The Quant reads it directly, or through a ReLU.
    """
    quants: List[Tuple[Node, bool]] = []
    for reader in readers(found.graph, dequant):
        behind = [(reader, False)]
        if is_relu(reader):
            positive = reader.op == "ReLU6" or is_removable(reader)
            behind = [(each, positive) for each in readers(found.graph, reader)]
        quants.extend(each for each in behind if isinstance(each[0].attributes, Quant))
    merged = found.merged_quants
    reaches = [_reach(node, positive, node.name in merged) for node, positive in quants]
    return max(reaches, key=lambda r: r.value / (1 if r.merged else r.scale), default=None)


def _reach(node: Node, positive: bool, merged: bool) -> Reach:
    a = node.typed(Quant)
    upper, lower = QUANT_MAX - a.offset, 0 if positive else a.offset - QUANT_MIN
    return Reach(node.name, float(max(upper, lower)), a.scale, merged)


def largest_accumulators(graph: Graph, dequant: Node, count: int) -> NDArray[np.float64]:
    """Return an upper bound of the accumulators that ``dequant`` reads.

    Args:
        graph: the network.
        dequant: a DeQuant.
        count: of its words: 1, or one for each channel.

    Returns:
        float64 ``[count]`` or ``[1]``; the largest int32 where the layer has no weights.
    """
    layer = graph.producer(dequant.inputs[0])
    quant = graph.producer(layer.inputs[0]) if layer is not None and layer.inputs else None
    axes = None if layer is None else layer.type.weights
    if layer is None or quant is None or axes is None or not layer.weights:
        return np.array([_LARGEST_INT32])
    offset = quant.attributes.offset if isinstance(quant.attributes, Quant) else 0
    weights = np.abs(layer.weights[0].astype(np.int16))
    others = tuple(axis for axis in range(weights.ndim) if axis != axes.output)
    sums = weights.sum(others, dtype=np.int64) * max(QUANT_MAX - offset, offset - QUANT_MIN)
    for bias in layer.weights[1:2]:
        sums = sums + (np.abs(bias.astype(np.int64)) if bias.size == sums.size else _LARGEST_INT32)
    bound: NDArray[np.float64] = np.minimum(sums.reshape(-1), _LARGEST_INT32).astype(np.float64)
    return bound if bound.size == count else np.array([bound.max()])
