"""Folds BatchNorm and Scale into the layers before them, in float, before training."""

from __future__ import annotations

import logging
from typing import Sequence, Set, Tuple

import attrs
import numpy as np

from amct_caffe.formats.prototxt.document import Layer
from amct_caffe.network import CaffeNetwork
from amct_caffe.to_graph import to_graph
from amct_core.folding import batch_norm_of, scale_of
from amct_core.graph import Node, Pass
from amct_core.graph.batch_norm import FoldChain, NotFoldable, find_chain
from amct_core.numerics import bn_fold
from amct_core.textproto import Message

_log = logging.getLogger("amct_caffe.passes")


@attrs.frozen
class FoldBatchNorm(Pass[CaffeNetwork]):
    """Fold BatchNorm and Scale.

    1. For each layer of ``names`` that BatchNorm, Scale or both follow, in TRAIN and TEST alike,
       and whose output nobody else reads, weights and bias take over what they compute.
    2. The folded layers go; the layer writes the blob that the last of them wrote.
    3. The layer has a bias afterwards; a new one learns as fast as Caffe's default.
    4. Where folding is not possible the layers stay, and the reason is logged.
    """

    names: Tuple[str, ...]

    def run(self, state: CaffeNetwork) -> CaffeNetwork:
        """Return the folded network."""
        network = state.copy()
        test, train = to_graph(network, "TEST"), to_graph(network, "TRAIN")
        layers = network.document.by_name()
        gone: Set[str] = set()
        for name in self.names:
            chain = find_chain(test, test.node(name))
            other = find_chain(train, train.node(name))
            if isinstance(chain, NotFoldable) or isinstance(other, NotFoldable):
                problem = chain if isinstance(chain, NotFoldable) else other
                assert isinstance(problem, NotFoldable)
                _log.info("layer '%s' is not folded: %s", name, problem.reason)
            elif chain is not None and other is not None:
                if [n.name for n in chain.nodes] == [n.name for n in other.nodes]:
                    _fold(network, layers[name], test.node(name), chain)
                    gone.update(folded.name for folded in chain.nodes)
                else:
                    _log.info("layer '%s' is not folded: TRAIN and TEST differ", name)
        network.document.layers = [
            layer for layer in network.document.layers if layer.name not in gone
        ]
        for name in gone:
            network.weights.pop(name, None)
        return network


def _fold(network: CaffeNetwork, layers: Sequence[Layer], node: Node, chain: FoldChain) -> None:
    """Let ``layers``, those called like ``node``, compute what ``chain`` did."""
    axis = 1 if node.op == "Deconvolution" else 0
    bias = np.asarray(node.weights[1], np.float32) if len(node.weights) > 1 else None
    weights, folded_bias = bn_fold.fold(
        np.asarray(node.weights[0], np.float32),
        bias,
        batch_norm_of(chain.batch_norm),
        scale_of(chain.scale),
        axis,
    )
    network.weights[node.name] = [weights, folded_bias]
    for layer in layers:
        layer.tops = [chain.value.name]
        parameters = layer.message.message("convolution_param")
        assert isinstance(parameters, Message)
        parameters.set("bias_term", True)
