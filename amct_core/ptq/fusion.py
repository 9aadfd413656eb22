"""Fuses BatchNorm and Scale with their neighbours, in float, before calibration.

1. A quantizable layer with weights takes over the BatchNorm, the Scale or both behind it:
   Convolution, Deconvolution and InnerProduct.
2. After that a Convolution without padding takes over those before it.  With padding the results
   at the border would differ.
3. What is in between is read by nobody else.  A single BatchNorm or Scale is fused, too; AMCT's
   documents speak of both only.
4. A layer that is to be skipped is fused with nothing.
5. Where fusion is not possible, the layers stay, and the reason is logged.

Fused layers have a bias.  Layers that share weights are fused one by one: nothing is trained
afterwards, so each can have its own.
"""

from __future__ import annotations

import logging
from typing import AbstractSet, Optional, Tuple, Union

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import AmctError, ModelError
from amct_core.folding import batch_norm_of, scale_of
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import BatchNorm, Convolution
from amct_core.graph.batch_norm import (
    FoldChain,
    NotFoldable,
    find_chain,
    find_preceding_chain,
)
from amct_core.numerics import bn_fold

_log = logging.getLogger("amct_core.ptq")

Found = Union[FoldChain, NotFoldable, None]
Weights = Tuple[NDArray[np.float32], NDArray[np.float32]]


def fuse(graph: Graph, skip: AbstractSet[str] = frozenset(), level: int = logging.INFO) -> Graph:
    """Return the fused network.

    Args:
        graph: the network as it is in testing, with weights.
        skip: names of layers that nothing is fused with.
        level: of the log's lines about what is fused.

    Raises:
        ModelError: blobs do not fit each other, or are missing.
        QuantizationError: numbers that cannot be folded.
    """
    names = _names_that_fuse(graph, skip)
    graph = _all_behind(graph, names, level)
    for name in names:
        node = graph.node(name)
        chain = _usable(node, _before(graph, node), level)
        if chain is not None:
            graph = _fused_before(graph, node, chain, level)
    return graph


def layers_fused_before(graph: Graph, skip: AbstractSet[str] = frozenset()) -> Tuple[str, ...]:
    """Return the layers that :func:`fuse` gives another input: that before a BatchNorm or Scale."""
    names = _names_that_fuse(graph, skip)
    graph = _all_behind(graph, names, logging.INFO)
    nodes = (graph.node(name) for name in names)
    return tuple(
        node.name for node in nodes if _usable(node, _before(graph, node), logging.INFO) is not None
    )


def _names_that_fuse(graph: Graph, skip: AbstractSet[str]) -> Tuple[str, ...]:
    nodes = (node for node in graph.nodes if _can_fuse(graph, node))
    return tuple(node.name for node in nodes if node.name not in skip)


def _all_behind(graph: Graph, names: Tuple[str, ...], level: int) -> Graph:
    for name in names:
        node = graph.node(name)
        chain = _usable(node, find_chain(graph, node, folds=lambda each: each.name in names), level)
        if chain is not None:
            graph = _fused_behind(graph, node, chain, level)
    return graph


def check_statistics(graph: Graph) -> None:
    """Check that every BatchNorm uses its stored statistics, as inference does.

    Raises:
        ModelError: one is told not to.
    """
    for node in graph.nodes:
        attributes = node.attributes
        if isinstance(attributes, BatchNorm) and attributes.use_global_stats is False:
            raise ModelError(
                "use_global_stats is false, so it normalises by each batch; expected true, or that "
                "it is not given.",
                file=graph.file,
                layer=node.name,
                field="batch_norm_param.use_global_stats",
                remedy="Set it to true for calibration, or remove it.",
            )


def _can_fuse(graph: Graph, node: Node) -> bool:
    quantization = node.type.quantization
    return (
        quantization is not None
        and node.type.weights is not None
        and bool(node.weights)
        and not node.in_place
        and quantization.obstacle(node, graph, post_training=True) is None
    )


def _usable(node: Node, found: Found, level: int) -> Optional[FoldChain]:
    if isinstance(found, NotFoldable):
        _log.log(level, "layer '%s' is not fused: %s", node.name, found.reason)
        return None
    return found


def _before(graph: Graph, node: Node) -> Found:
    axes, attributes = node.type.weights, node.attributes
    if axes is None or axes.output != 0 or not isinstance(attributes, Convolution):
        return None
    found = find_preceding_chain(graph, node)
    if isinstance(found, FoldChain) and any(attributes.pad):
        names = ", ".join(repr(each.name) for each in found.nodes)
        return NotFoldable(
            f"{names} before it cannot be taken over exactly, because it has padding."
        )
    return found


def _fused_behind(graph: Graph, node: Node, chain: FoldChain, level: int) -> Graph:
    assert node.type.weights is not None
    axis = node.type.weights.output
    try:
        batch_norm, scale = batch_norm_of(chain.batch_norm), scale_of(chain.scale)
        channels = bn_fold.multiplier_and_shift(batch_norm, scale)[0].size
        group = _groups_of_outputs(node)
        if channels != node.weights[0].shape[axis] * group:
            _log.log(
                level,
                "layer '%s' is not fused: its weights have %d output channels, and %s %d",
                node.name,
                node.weights[0].shape[axis] * group,
                _names(chain),
                channels,
            )
            return graph
        fused = bn_fold.fold(*_weights(node), batch_norm, scale, axis, group)
    except AmctError as error:
        raise error.at(file=graph.file, layer=node.name) from error
    _log.log(level, "layer '%s' takes over %s behind it", node.name, _names(chain))
    replaced = attrs.evolve(node, weights=fused, tops=(chain.value.name,))
    return _replace(graph, node, replaced, chain)


def _fused_before(graph: Graph, node: Node, chain: FoldChain, level: int) -> Graph:
    try:
        fused = bn_fold.fold_before(
            *_weights(node),
            batch_norm_of(chain.batch_norm),
            scale_of(chain.scale),
            node.typed(Convolution).group,
        )
    except AmctError as error:
        raise error.at(file=graph.file, layer=node.name) from error
    _log.log(level, "layer '%s' takes over %s before it", node.name, _names(chain))
    bottoms = (chain.value.name, *node.bottoms[1:])
    return _replace(graph, node, attrs.evolve(node, weights=fused, bottoms=bottoms), chain)


def _groups_of_outputs(node: Node) -> int:
    """Return how many groups share the axis of output channels: those of a Deconvolution."""
    axes, attributes = node.type.weights, node.attributes
    if axes is None or axes.output == 0 or not isinstance(attributes, Convolution):
        return 1
    return attributes.group


def _weights(node: Node) -> Tuple[NDArray[np.float32], Optional[NDArray[np.float32]]]:
    bias = np.asarray(node.weights[1], np.float32) if len(node.weights) > 1 else None
    return np.asarray(node.weights[0], np.float32), bias


def _replace(graph: Graph, node: Node, replaced: Node, chain: FoldChain) -> Graph:
    return graph.replace(
        replaced if each is node else each for each in graph.nodes if each not in chain.nodes
    )


def _names(chain: FoldChain) -> str:
    return " and ".join(repr(node.name) for node in chain.nodes)
