"""Says what of a TEST network is deployed, and which of its blobs are fed with data.

1. A *loss* is a layer of a loss type, or one with a loss weight other than 0; a *score* is a layer
   of a type that is declared so.  A layer with weights, or one whose results reach a layer with
   weights, is no loss for its loss weight: it computes features.
2. A *label* is a top of a data layer that reaches no layer with weights.  Losses and scores do not
   count as layers with weights, and in a network without any weights all other layers do.
3. Losses, scores and layers without tops go, and so does what reads the results of the former.
4. What reaches only these goes if it depends on a label, or if no layer with weights is on its way
   from the data.  A top that nobody reads is an output of the network and keeps its layer, unless
   it depends on labels and constants alone.
5. Everything else stays: heads that only a loss reads, whichever bottom they are, in-place layers,
   layers of unknown types.
6. A loss with a form for inference (SoftmaxWithLoss: Softmax) takes it where its first bottom
   stays: :mod:`amct_caffe.model.heads`.
7. Data tops that are still read are the inputs.  Constants that are still read are constants of the
   network, except in one that has no other data: there they stand for data.
"""

from __future__ import annotations

from typing import Dict, List, Sequence, Set, Tuple

import attrs

from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.heads import forms_for_inference
from amct_caffe.model.layer_type import role_of
from amct_caffe.model.origins import (
    ENDS,
    SOURCES,
    AnalysedNetwork,
    analysed,
    has_form,
    is_end,
)
from amct_core.graph import Node, Value


@attrs.frozen
class DeployedNetwork:
    """What is deployed.

    Attributes:
        layers: in execution order, data layers included; copies.
        inputs: the blobs that are fed with data, in order.
    """

    layers: Tuple[Layer, ...]
    inputs: Tuple[str, ...]

    @property
    def outputs(self) -> Tuple[str, ...]:
        """The blobs that the layers compute and nobody reads, in order."""
        unread: Dict[str, None] = {}
        for layer in self.layers:
            for bottom in layer.bottoms:
                unread.pop(bottom, None)
            if role_of(layer) not in SOURCES:
                unread.update(dict.fromkeys(layer.tops))
        return tuple(unread)

    @property
    def unused(self) -> Tuple[str, ...]:
        """The tops of data layers that are not deployed, such as labels."""
        read = {bottom for layer in self.layers for bottom in layer.bottoms}
        sources = [layer for layer in self.layers if role_of(layer) in SOURCES]
        return tuple(top for layer in sources for top in layer.tops if top not in read)


def deployed_network(layers: Sequence[Layer]) -> DeployedNetwork:
    """Return what is deployed of a TEST network.

    Args:
        layers: of the TEST phase in execution order; they stay as they are.
    """
    network = analysed(layers)
    staying = _staying(network)
    heads = [node for node in staying if has_form(node)]
    forms = forms_for_inference(heads, [node for node in staying if not has_form(node)])
    kept = [
        forms[node] if node in forms else node.source.copy()
        for node in staying
        if node in forms or not has_form(node)
    ]
    read = {bottom for layer in kept for bottom in layer.bottoms}
    fed = [top for node in staying if network.is_fed(node) for top in node.tops]
    return DeployedNetwork(tuple(kept), tuple(top for top in fed if top in read))


def _staying(network: AnalysedNetwork) -> List[Node]:
    """Return the layers that stay, in execution order; of losses those that may take a form."""
    staying: List[Node] = []
    read: Set[Value] = set()
    for node in reversed(network.graph.nodes):
        if _goes(network, node):
            continue
        if read.intersection(node.outputs) or _stays_unread(network, node):
            staying.append(node)
            read.update(network.reads(node))
    return staying[::-1]


def _goes(network: AnalysedNetwork, node: Node) -> bool:
    """Return whether ``node`` goes whatever reads it: rule 3."""
    if is_end(node) and not has_form(node):
        return True
    return any(network.origin(value).loss for value in network.reads(node))


def _stays_unread(network: AnalysedNetwork, node: Node) -> bool:
    """Return whether ``node`` stays even if no layer that stays reads it: rule 4."""
    if has_form(node):
        return network.origin(node.inputs[0]).is_prediction
    if network.roles[node] in (*SOURCES, *ENDS):
        return False
    return any(
        network.origin(value).is_prediction
        or (network.origin(value).data and not network.graph.uses(value))
        for value in node.outputs
    )
