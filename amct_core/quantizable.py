"""Finds the layers that can be quantized, and says why others cannot."""

from __future__ import annotations

from typing import Dict, Iterator, Optional, Tuple

from amct_core.config.model import LayerFacts
from amct_core.config.network_layers import QuantizableLayers
from amct_core.contracts.layer_types import obstacle, require_declared_weights
from amct_core.extensions import LayerType, Quantization
from amct_core.extensions.frontend import NetworkViews
from amct_core.graph import Graph, Node

__all__ = ["QuantizableLayers", "find_quantizable"]


def find_quantizable(views: NetworkViews, post_training: bool = False) -> QuantizableLayers:
    """Sort the layers of a network by whether they can be quantized.

    A layer qualifies if its type is quantizable and accepts it, if it is there in training and in
    testing, if it is deployed, and if the weights file has its weights.  ``post_training``: without
    training, being there in testing is enough.
    """
    supported: Dict[str, LayerFacts] = {}
    unsupported: Dict[str, str] = {}
    others = []
    types: Dict[str, LayerType] = {}
    for graph, node in _nodes(views):
        types[node.name] = node.type
        quantization = node.type.quantization
        if quantization is None:
            others.append(node.name)
            continue
        reason = _obstacle(views, node, post_training)
        if reason is None:
            reason = obstacle(node, graph, post_training)
        if reason is not None:
            unsupported[node.name] = reason
            continue
        require_declared_weights(node)
        supported[node.name] = _facts(node, quantization)
    return QuantizableLayers(supported, unsupported, tuple(others), types)


def _facts(node: Node, quantization: Quantization) -> LayerFacts:
    channel_wise_allowed = quantization.allows_channel_wise(node)
    return LayerFacts(
        layer_type=node.op,
        channel_wise_allowed=channel_wise_allowed,
        default_channel_wise=channel_wise_allowed and quantization.default_channel_wise,
        has_weights=node.type.weights is not None,
    )


def _nodes(views: NetworkViews) -> Iterator[Tuple[Graph, Node]]:
    for node in views.test.nodes:
        yield views.test, node
    for node in views.train.nodes:
        if node.name not in views.test:
            yield views.train, node


def _obstacle(views: NetworkViews, node: Node, post_training: bool) -> Optional[str]:
    """Return what of the network, whatever the layer's type, keeps it from being quantized."""
    if node.name not in views.train and not post_training:
        return "it is there in the TEST phase only, so its bounds could not be trained."
    if node.name not in views.test:
        return "it is there in the TRAIN phase only, so it is not part of the deployed network."
    if views.deployed is not None and node.name not in views.deployed:
        return "it is not deployed: only losses and scores need it, or no data reach it."
    if node.in_place:
        return "it works in place; give its top a name of its own."
    if node.type.weights is not None and not node.weights:
        return "the weights file has no weights for it."
    return None
