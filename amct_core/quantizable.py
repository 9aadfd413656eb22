"""Finds the layers that can be quantized, and says why others cannot."""

from __future__ import annotations

from typing import Dict, Iterator, Mapping, Optional, Tuple

import attrs

from amct_core.config.model import LayerFacts
from amct_core.extensions import Quantization
from amct_core.extensions.frontend import NetworkViews
from amct_core.graph import Graph, Node


@attrs.frozen
class QuantizableLayers:
    """The layers of a network, sorted by whether they can be quantized.

    Attributes:
        supported: facts about each layer that can be, in network order.
        unsupported: layers of a quantizable type that cannot be, with the reason.
        others: layers of types that nobody quantizes.
    """

    supported: Mapping[str, LayerFacts]
    unsupported: Mapping[str, str]
    others: Tuple[str, ...]

    @property
    def reasons(self) -> Mapping[str, str]:
        """Why each layer that is not supported is not."""
        reasons = dict.fromkeys(self.others, "nothing quantizes its layer type.")
        return {**reasons, **self.unsupported}


def find_quantizable(views: NetworkViews) -> QuantizableLayers:
    """Sort the layers of a network by whether they can be quantized.

    A layer qualifies if its type is quantizable and accepts it, if it is there in training and in
    testing, if it is deployed, and if the weights file has its weights.
    """
    supported: Dict[str, LayerFacts] = {}
    unsupported: Dict[str, str] = {}
    others = []
    for graph, node in _nodes(views):
        quantization = node.type.quantization
        if quantization is None:
            others.append(node.name)
            continue
        reason = _obstacle(views, graph, node, quantization)
        if reason is not None:
            unsupported[node.name] = reason
            continue
        supported[node.name] = LayerFacts(
            layer_type=node.op,
            channel_wise_allowed=quantization.channel_wise_allowed,
            default_channel_wise=quantization.default_channel_wise,
            has_weights=node.type.weights is not None,
        )
    return QuantizableLayers(supported, unsupported, tuple(others))


def _nodes(views: NetworkViews) -> Iterator[Tuple[Graph, Node]]:
    for node in views.test.nodes:
        yield views.test, node
    for node in views.train.nodes:
        if node.name not in views.test:
            yield views.train, node


def _obstacle(
    views: NetworkViews, graph: Graph, node: Node, quantization: Quantization
) -> Optional[str]:
    if node.name not in views.train:
        return "it is there in the TEST phase only, so its bounds could not be trained."
    if node.name not in views.test:
        return "it is there in the TRAIN phase only, so it is not part of the deployed network."
    if views.deployed is not None and node.name not in views.deployed:
        return "it is not deployed: only losses and scores need it, or no data reach it."
    if node.in_place:
        return "it works in place; give its top a name of its own."
    if node.type.weights is not None and not node.weights:
        return "the weights file has no weights for it."
    return quantization.check(node, graph)
