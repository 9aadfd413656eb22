"""Finds the BatchNorm and Scale layers that can be folded into the layer before or behind them."""

from __future__ import annotations

from typing import Callable, List, Optional, Tuple, Type

import attrs

from amct_core.errors import ModelError
from amct_core.graph.attributes import Attributes, BatchNorm, Scale
from amct_core.graph.graph import Graph, Node, Value


@attrs.frozen
class FoldChain:
    """What follows a layer and can be folded into it: BatchNorm, Scale, or one after the other.

    Attributes:
        batch_norm, scale: the nodes; at least one is there.
        value: the tensor after the last of them; before the first, where they stand before the
            layer that they are folded into.
    """

    batch_norm: Optional[Node]
    scale: Optional[Node]
    value: Value

    @property
    def nodes(self) -> Tuple[Node, ...]:
        """The nodes in execution order."""
        return tuple(node for node in (self.batch_norm, self.scale) if node is not None)


@attrs.frozen
class NotFoldable:
    """Why the BatchNorm or Scale that follows a layer is not folded."""

    reason: str


def _folds(node: Node) -> bool:
    return node.type.folds_batch_norm


def find_chain(
    graph: Graph, node: Node, folds: Callable[[Node], bool] = _folds
) -> FoldChain | NotFoldable | None:
    """Return what can be folded into ``node``, why not, or None if nothing follows to fold.

    ``folds`` says of a layer whether anything is folded into it; by default its type does.
    """
    batch_norm = scale = None
    value = node.outputs[0]
    follower = _follower(graph, value, BatchNorm)
    if follower is not None:
        problem = _obstacle(graph, node, value, follower, folds)
        if problem:
            return problem
        batch_norm, value = follower, follower.outputs[0]
    follower = _follower(graph, value, Scale)
    if follower is not None and len(follower.inputs) == 1:
        problem = _obstacle(graph, node, value, follower, folds) or _scale_obstacle(follower)
        if problem and batch_norm is None:
            return problem
        if problem is None:
            scale, value = follower, follower.outputs[0]
    if batch_norm is None and scale is None:
        return None
    return FoldChain(batch_norm, scale, value)


def find_preceding_chain(graph: Graph, node: Node) -> FoldChain | NotFoldable | None:
    """Return what stands before ``node`` and can be folded into it, why not, or None.

    What is found is BatchNorm, Scale, or one before the other.  Nobody else may read what they
    give, and their input must still be there where ``node`` reads: no other layer writes its blob
    in between.
    """
    batch_norm = scale = None
    value = node.inputs[0]
    producer = graph.producer(value)
    if producer is not None and isinstance(producer.attributes, Scale):
        if len(producer.inputs) != 1:
            return None
        problem = _only_reader(graph, node, value) or _scale_obstacle(producer)
        if problem is not None:
            return problem
        scale, value = producer, producer.inputs[0]
        producer = graph.producer(value)
    if producer is not None and isinstance(producer.attributes, BatchNorm):
        problem = _only_reader(graph, scale or node, value)
        if problem is not None and scale is None:
            return problem
        if problem is None:
            batch_norm, value = producer, producer.inputs[0]
    if batch_norm is None and scale is None:
        return None
    chain = FoldChain(batch_norm, scale, value)
    return _overwritten(graph, node, chain) or chain


def _only_reader(graph: Graph, node: Node, value: Value) -> Optional[NotFoldable]:
    others = [use.node.name for use in graph.uses(value) if use.node is not node]
    if not others:
        return None
    return NotFoldable(
        f"what '{node.name}' reads is also read by {', '.join(repr(name) for name in others)}."
    )


def _overwritten(graph: Graph, node: Node, chain: FoldChain) -> Optional[NotFoldable]:
    for between in graph.nodes:
        if between is node:
            break
        writes = any(
            value.name == chain.value.name and value.version > chain.value.version
            for value in between.outputs
        )
        if writes and between not in chain.nodes:
            return NotFoldable(
                f"'{between.name}' overwrites the blob '{chain.value.name}' in between."
            )
    return None


def chain_of(graph: Graph, node: Node, names: Tuple[str, ...]) -> FoldChain:
    """Return the chain behind ``node`` that consists of the layers ``names``.

    Raises:
        ModelError: these layers do not follow ``node`` so that they could be folded.
    """
    chain = find_chain(graph, node)
    found = tuple(n.name for n in chain.nodes) if isinstance(chain, FoldChain) else ()
    if not isinstance(chain, FoldChain) or found != names:
        reason = f" ({chain.reason})" if isinstance(chain, NotFoldable) else ""
        raise ModelError(
            f"{list(names)} should be folded into it, but {list(found)} can be{reason}.",
            file=graph.file,
            layer=node.name,
            remedy="Train and save the model as create_quant_retrain_model wrote it.",
        )
    return chain


def _follower(graph: Graph, value: Value, kind: Type[Attributes]) -> Optional[Node]:
    uses = graph.uses(value)
    followers: List[Node] = [use.node for use in uses if isinstance(use.node.attributes, kind)]
    return followers[0] if followers else None


def _obstacle(
    graph: Graph, node: Node, value: Value, follower: Node, folds: Callable[[Node], bool]
) -> Optional[NotFoldable]:
    if not folds(node):
        return NotFoldable(f"{follower.op} '{follower.name}' is not folded into {node.op} layers.")
    others = [use.node.name for use in graph.uses(value) if use.node is not follower]
    if others:
        return NotFoldable(
            f"the output of '{node.name}' before '{follower.name}' is also read by "
            f"{', '.join(repr(name) for name in others)}."
        )
    return None


def _scale_obstacle(scale: Node) -> Optional[NotFoldable]:
    attributes = scale.attributes
    along_channels = isinstance(attributes, Scale) and (
        attributes.axis in (1, -3) and attributes.num_axes == 1
    )
    if along_channels:
        return None
    return NotFoldable(f"Scale '{scale.name}' does not work along the channels (axis 1) alone.")
