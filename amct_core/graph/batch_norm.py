"""Finds the BatchNorm and Scale layers that can be folded into the layer before them."""

from __future__ import annotations

from typing import List, Optional, Tuple, Type

import attrs

from amct_core.errors import ModelError
from amct_core.graph.attributes import Attributes, BatchNorm, Scale
from amct_core.graph.graph import Graph, Node, Value


@attrs.frozen
class FoldChain:
    """What follows a layer and can be folded into it: BatchNorm, Scale, or one after the other.

    Attributes:
        batch_norm, scale: the nodes; at least one is there.
        value: the tensor after the last of them.
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


def find_chain(graph: Graph, node: Node) -> FoldChain | NotFoldable | None:
    """Return what can be folded into ``node``, why not, or None if nothing follows to fold."""
    batch_norm = scale = None
    value = node.outputs[0]
    follower = _follower(graph, value, BatchNorm)
    if follower is not None:
        problem = _obstacle(graph, node, value, follower)
        if problem:
            return problem
        batch_norm, value = follower, follower.outputs[0]
    follower = _follower(graph, value, Scale)
    if follower is not None and len(follower.inputs) == 1:
        problem = _obstacle(graph, node, value, follower) or _scale_obstacle(follower)
        if problem and batch_norm is None:
            return problem
        if problem is None:
            scale, value = follower, follower.outputs[0]
    if batch_norm is None and scale is None:
        return None
    return FoldChain(batch_norm, scale, value)


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


def _obstacle(graph: Graph, node: Node, value: Value, follower: Node) -> Optional[NotFoldable]:
    if not node.type.folds_batch_norm:
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
