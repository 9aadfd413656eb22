"""Folds BatchNorm and Scale into the layers before them, in float, before training."""

from __future__ import annotations

import logging
from typing import Dict, Mapping, Optional, Sequence, Set, Tuple, Union

import attrs
import numpy as np

from amct_caffe.model.formats.prototxt.document import Layer
from amct_caffe.model.integer_layer import set_bias_term
from amct_caffe.model.network import CaffeNetwork
from amct_caffe.model.to_graph import to_graph
from amct_core.folding import batch_norm_of, scale_of
from amct_core.graph import Node, Pass
from amct_core.graph.batch_norm import FoldChain, NotFoldable, find_chain
from amct_core.numerics import bn_fold

_log = logging.getLogger("amct_caffe.passes")

Found = Union[FoldChain, NotFoldable, None]
"""What :func:`~amct_core.graph.batch_norm.find_chain` returns."""


@attrs.frozen
class FoldBatchNorm(Pass[CaffeNetwork]):
    """Fold BatchNorm and Scale.

    1. For each layer of ``names`` that BatchNorm, Scale or both follow, in TRAIN and TEST alike,
       and whose output nobody else reads, weights and bias take over what they compute.
    2. The folded layers go; the layer writes the blob that the last of them wrote.
    3. The layer has a bias afterwards; a new one learns as fast as Caffe's default.
    4. A layer that shares weights or bias with another by parameter name is left alone: folding
       makes the numbers of the two differ.
    5. So is one whose output has another name, or other followers, in TRAIN than in TEST.
    6. Where folding is not possible the layers stay, and the reason is logged.
    """

    names: Tuple[str, ...]

    def run(self, state: CaffeNetwork) -> CaffeNetwork:
        """Return the folded network."""
        network = state.copy()
        test, train = to_graph(network, "TEST"), to_graph(network, "TRAIN")
        layers = network.document.by_name()
        owners = _owners_of_names(network)
        gone: Set[str] = set()
        for name in self.names:
            chain = find_chain(test, test.node(name))
            other = find_chain(train, train.node(name))
            if chain is None and other is None:
                continue
            obstacle = _obstacle(chain, other) or _sharing(name, layers[name], owners)
            if obstacle is not None:
                _log.info("layer '%s' is not folded: %s", name, obstacle)
                continue
            assert isinstance(chain, FoldChain)
            _fold(network, layers[name], test.node(name), chain)
            gone.update(folded.name for folded in chain.nodes)
        gone_layers = {id(layer) for folded in gone for layer in layers[folded]}
        network.document.layers = [
            layer for layer in network.document.layers if id(layer) not in gone_layers
        ]
        for name in gone - {layer.name for layer in network.document.layers}:
            network.weights.pop(name, None)
        return network


def _obstacle(test: Found, train: Found) -> Optional[str]:
    """Return why what follows a layer in TEST and in TRAIN cannot be folded into it, if so."""
    for found in (test, train):
        if isinstance(found, NotFoldable):
            return found.reason
    if not isinstance(test, FoldChain) or not isinstance(train, FoldChain):
        return "TRAIN and TEST differ"
    same_layers = [node.name for node in test.nodes] == [node.name for node in train.nodes]
    if not same_layers or test.value.name != train.value.name:
        return "TRAIN and TEST differ"
    return None


def _owners_of_names(network: CaffeNetwork) -> Mapping[str, Set[str]]:
    """Return which layers use each parameter name; blobs of one name are one blob in Caffe."""
    owners: Dict[str, Set[str]] = {}
    for layer in network.document.layers:
        for spec in layer.param_specs:
            if spec.name:
                owners.setdefault(spec.name, set()).add(layer.name)
    return owners


def _sharing(name: str, layers: Sequence[Layer], owners: Mapping[str, Set[str]]) -> Optional[str]:
    """Return that layer ``name`` shares parameters with others, if so."""
    for shared in (spec.name for layer in layers for spec in layer.param_specs if spec.name):
        others = sorted(owners[shared] - {name})
        if others:
            found = ", ".join(repr(other) for other in others)
            return f"it shares the parameters '{shared}' with {found}."
    return None


def _fold(network: CaffeNetwork, layers: Sequence[Layer], node: Node, chain: FoldChain) -> None:
    """Let ``layers``, those called like ``node``, compute what ``chain`` did."""
    assert node.type.weights is not None
    bias = np.asarray(node.weights[1], np.float32) if len(node.weights) > 1 else None
    weights, folded_bias = bn_fold.fold(
        np.asarray(node.weights[0], np.float32),
        bias,
        batch_norm_of(chain.batch_norm),
        scale_of(chain.scale),
        node.type.weights.output,
    )
    network.weights[node.name] = [weights, folded_bias]
    for layer in layers:
        layer.tops = [chain.value.name]
        set_bias_term(layer, True)
