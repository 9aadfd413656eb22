"""The numbers of the layers that are folded: from blobs to :mod:`amct_core.numerics.bn_fold`."""

from __future__ import annotations

from typing import Any, Optional, Sequence

from amct_core.errors import ModelError
from amct_core.graph import Node
from amct_core.graph.attributes import BatchNorm as BatchNormAttributes
from amct_core.numerics import bn_fold


def batch_norm_values(blobs: Sequence[Any], eps: float) -> bn_fold.BatchNorm:
    """Return a BatchNorm from its blobs: mean ``[C]``, variance ``[C]``, their divisor ``[1]``."""
    mean, variance, factor = blobs
    return bn_fold.BatchNorm(mean, variance, float(factor.reshape(-1)[0]), eps)


def scale_values(blobs: Sequence[Any]) -> bn_fold.Scale:
    """Return a Scale from its blobs: gamma ``[C]`` and, with a bias, beta ``[C]``."""
    return bn_fold.Scale(blobs[0], blobs[1] if len(blobs) > 1 else None)


def batch_norm_of(node: Optional[Node]) -> Optional[bn_fold.BatchNorm]:
    """Return the values of a BatchNorm node; None for None.

    Raises:
        ModelError: the weights file has no statistics for it.
    """
    if node is None:
        return None
    if len(node.weights) != 3:
        raise _missing(node, 3)
    assert isinstance(node.attributes, BatchNormAttributes)
    return batch_norm_values(node.weights, node.attributes.eps)


def scale_of(node: Optional[Node]) -> Optional[bn_fold.Scale]:
    """Return the values of a Scale node; None for None.

    Raises:
        ModelError: the weights file has no parameters for it.
    """
    if node is None:
        return None
    if not node.weights:
        raise _missing(node, 1)
    return scale_values(node.weights)


def _missing(node: Node, expected: int) -> ModelError:
    return ModelError(
        f"the weights file has {len(node.weights)} blobs for this {node.op}; expected {expected}.",
        layer=node.name,
        remedy="Give the weights file of this model.",
    )
