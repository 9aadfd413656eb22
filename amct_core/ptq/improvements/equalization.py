"""Cross-layer equalization: evens out the ranges of channels between two layers, without data.

Between a layer and the one that reads it, a factor on channel c can be moved: the first layer's
weights and bias of c are divided by it, and the second one's weights that read c multiplied.  What
the network computes stays the same, for whatever lies between passes factors above 0 through.  With

    s_c = sqrt(max|W1_c| / max|W2_c|)

both have the same range in c, so that one scale for all channels fits each better.  Pairs overlap,
so this is repeated until the factors are 1.

1. Both layers have weights, and channels that can be told apart (:mod:`.channels`).
2. What lies between is homogeneous (:attr:`LayerType.homogeneous`): ReLU, PReLU, pooling, Dropout.
3. Each value on the way is read by one layer alone.
4. A channel whose weights are all 0 on one side keeps its factor of 1.

Source: Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019.
"""

from __future__ import annotations

import logging
from typing import Dict, List, Optional, Tuple, Union

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.graph import Graph, Node
from amct_core.ptq.improvements import channels

Blobs = Dict[str, List[channels.Weights]]
"""Weights and biases in float64, by layer."""

_log = logging.getLogger("amct_core.ptq")

MAX_ROUNDS = 1000
"""A chain of layers converges geometrically; networks of 60 layers take about 100 rounds."""

CONVERGED = 1e-4
"""The largest change of a factor at which it ends: what is left is far below a rounding step."""


@attrs.frozen
class Pair:
    """Two layers between which factors can be moved, by name."""

    first: str
    second: str


@attrs.frozen
class Untreated:
    """A layer with weights behind which no factors can be moved, and why."""

    layer: str
    reason: str


@attrs.frozen
class Pairs:
    """What can be equalized in a network, in network order, and what cannot."""

    treated: Tuple[Pair, ...]
    untreated: Tuple[Untreated, ...]


def find_pairs(graph: Graph) -> Pairs:
    """Return the pairs of layers of ``graph`` that can be equalized, and why others cannot."""
    treated: List[Pair] = []
    untreated: List[Untreated] = []
    for node in graph.nodes:
        if node.type.weights is None or not node.weights:
            continue
        found = _partner(graph, node)
        if isinstance(found, str):
            untreated.append(Untreated(node.name, found))
        else:
            treated.append(Pair(node.name, found.name))
    return Pairs(tuple(treated), tuple(untreated))


def equalized(graph: Graph) -> Graph:
    """Return a network that computes the same, with equal ranges along the pairs.

    Outputs stay equal except for the rounding of float32 weights.  The log says which pairs were
    treated, and why other layers were not.

    Args:
        graph: the network after fusion, with float32 weights; it stays as it is.
    """
    pairs = find_pairs(graph)
    for each in pairs.untreated:
        _log.info("layer '%s' is not equalized with what is behind it: %s", each.layer, each.reason)
    if not pairs.treated:
        _log.info("cross-layer equalization: no two layers qualify")
        return graph
    names = {name for pair in pairs.treated for name in (pair.first, pair.second)}
    blobs = {
        name: [np.array(blob, np.float64) for blob in graph.node(name).weights] for name in names
    }
    rounds = _equalize(graph, pairs.treated, blobs)
    _log.info(
        "cross-layer equalization of %d pairs in %d rounds: %s",
        len(pairs.treated),
        rounds,
        ", ".join(f"{pair.first} -> {pair.second}" for pair in pairs.treated),
    )
    return graph.replace(_with_weights(node, blobs.get(node.name)) for node in graph.nodes)


def _partner(graph: Graph, node: Node) -> Union[Node, str]:
    """Return the layer that reads what ``node`` gives; or why there is no such one."""
    reason = channels.obstacle(node)
    if reason is not None:
        return reason
    if len(node.outputs) != 1:
        return f"it has {len(node.outputs)} outputs"
    value = node.outputs[0]
    while True:
        uses = graph.uses(value)
        if len(uses) != 1:
            readers = ", ".join(f"'{use.node.name}'" for use in uses) or "nobody"
            return f"'{value.name}' is read by {readers}"
        reader = uses[0].node
        if reader.type.weights is not None:
            return _fitting(node, reader)
        if len(reader.inputs) != 1 or len(reader.outputs) != 1:
            return f"'{reader.name}' ({reader.op}) has several inputs or outputs"
        if not reader.type.is_homogeneous(reader):
            return f"'{reader.name}' ({reader.op}) does not pass factors through"
        value = reader.outputs[0]


def _fitting(node: Node, reader: Node) -> Union[Node, str]:
    reason = channels.obstacle(reader)
    if reason is None and len(reader.inputs) != 1:
        reason = "it reads more than one input"
    if reason is None and channels.inputs(reader) % channels.outputs(node):
        reason = f"it reads {channels.inputs(reader)} channels"
    return reader if reason is None else f"'{reader.name}' behind it does not qualify: {reason}"


def _equalize(graph: Graph, pairs: Tuple[Pair, ...], blobs: Blobs) -> int:
    for number in range(1, MAX_ROUNDS + 1):
        changes = [
            _equalize_pair(graph.node(pair.first), graph.node(pair.second), blobs) for pair in pairs
        ]
        if max(changes) < CONVERGED:
            return number
    return MAX_ROUNDS


def _equalize_pair(first: Node, second: Node, blobs: Blobs) -> float:
    """Move factors between two layers, in place; return the largest one's distance from 1."""
    before, after = blobs[first.name], blobs[second.name]
    made = channels.output_ranges(first, before[0])
    read = channels.input_ranges(second, after[0], len(made))
    factors = np.ones_like(made)
    alive = (made > 0) & (read > 0)
    factors[alive] = np.sqrt(made[alive] / read[alive])
    channels.scale_outputs(first, before[0], 1 / factors)
    for bias in before[1:]:
        bias /= factors.reshape(bias.shape)
    channels.scale_inputs(second, after[0], factors)
    return float(np.abs(np.log(factors)).max(initial=0.0))


def _with_weights(node: Node, blobs: Optional[List[channels.Weights]]) -> Node:
    if blobs is None:
        return node
    weights: List[NDArray[np.float32]] = [blob.astype(np.float32) for blob in blobs]
    return attrs.evolve(node, weights=weights)
