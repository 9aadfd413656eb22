"""The float network in the form of a deployable one: the same layers and blobs, float weights.

A deployable network differs from the float network that it was made from: BatchNorm and Scale are
folded, losses are gone, layers are in integers.  To compare both blob by blob, the float weights
are put into the *deployable* network's structure:

1. Quant and DeQuant go; a quantized layer reads what its Quant read and writes what its DeQuant
   wrote.  Blobs, and the versions of those that are written in place, stay the same.
2. A layer with weights takes those of the layer of the same name in the float network's counterpart
   (:mod:`~cpu_sim_backend.analysis.float_network`): folded and equalized in float, as the
   deployable network is.
3. What has no weights stays as it is.

So no blob lacks its counterpart, and what folding itself changes (the last bits) is no error of
int8.  The dequantized weights of the deployable network would be no reference: they carry the error
that is to be measured.
"""

from __future__ import annotations

from typing import Any, List, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import ModelError
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import DeQuant, Quant
from amct_core.graph.deployed_layers import DeployedLayer, deployed_layers
from cpu_sim_backend.analysis.float_network import float_counterpart

Array = NDArray[Any]


def float_graph(deployed: Graph, original: Graph) -> Graph:
    """Return the network ``original`` in the form of ``deployed``.

    Args:
        deployed: the deployable network.
        original: the float network that it was made from, in testing, with weights.

    Raises:
        ModelError: a layer with weights has no counterpart of its size in ``original``.
    """
    fused = float_counterpart(original, deployed)
    layers = deployed_layers(deployed)
    nodes: List[Node] = []
    for node in deployed.nodes:
        if node in layers:
            nodes.append(_in_float(layers[node], fused))
        elif not isinstance(node.attributes, (Quant, DeQuant)):
            nodes.append(_with_own_weights(node, fused))
    return deployed.replace(nodes)


def _in_float(layer: DeployedLayer, fused: Graph) -> Node:
    weights: Tuple[Array, ...] = ()
    if layer.node.weights:
        weights = _weights(layer.node, fused)
    return attrs.evolve(
        layer.node, bottoms=layer.quant.bottoms, tops=layer.dequant.tops, weights=weights
    )


def _with_own_weights(node: Node, fused: Graph) -> Node:
    if not node.weights:
        return node
    return attrs.evolve(node, weights=_weights(node, fused))


def _weights(node: Node, fused: Graph) -> Tuple[Array, ...]:
    """Return the float network's weights for ``node``, in the shape that it has them."""
    if node.name not in fused:
        raise _mismatch(node, fused, "it has no such layer")
    found = fused.node(node.name).weights
    if not found:
        raise _mismatch(node, fused, "its layer has no weights")
    if found[0].size != node.weights[0].size:
        raise _mismatch(
            node, fused, f"its weights are {found[0].shape}; expected {node.weights[0].shape}"
        )
    first = np.asarray(found[0], np.float32).reshape(node.weights[0].shape)
    return (first, *(np.asarray(each, np.float32) for each in found[1:]))


def _mismatch(node: Node, fused: Graph, problem: str) -> ModelError:
    return ModelError(
        f"the deployable model has this layer with weights; of the float network, {problem}.",
        file=fused.file,
        layer=node.name,
        remedy="Give the float model that the saved one was made from (--float MODEL WEIGHTS).",
    )
