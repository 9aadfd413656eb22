"""The contract of a :class:`~amct_core.extensions.LayerType`: its weights and its integer rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_core.contracts.usage import Usage, shown

if TYPE_CHECKING:
    from amct_core.graph import Graph, Node


def require_declared_weights(node: Node) -> None:
    """Check that a type which says how its layers are quantized says so of their weights, too.

    Without ``weights``, those of a layer would stay float32 beside an integer input, which nobody
    notices before the saved model computes something else than training did.

    Args:
        node: a layer of a quantizable type, with the weights that it has.

    Raises:
        PluginError: the layer has weights, and its type does not say which axes count channels.
    """
    quantization = node.type.quantization
    if quantization is None or node.type.weights is not None or not node.weights:
        return
    if quantization.divisor is not None:
        return  # the type says that it has none, so the blobs are a fault of the file
    shapes = ", ".join(str(tuple(blob.shape)) for blob in node.weights)
    raise Usage(node.type, node.name).error(
        f"the layer has weights, of shape {shapes}, and its type declares quantization without "
        "weights; expected weights=WeightAxes(output=...), which says the axis of the first blob "
        "that counts output channels."
    )


def obstacle(node: Node, graph: Graph, post_training: bool) -> Optional[str]:
    """Return why the type of a layer keeps it from being quantized; None: nothing does.

    Args:
        node: a layer of a quantizable type.
        graph: its network.
        post_training: whether it is not going to be trained.

    Raises:
        PluginError: the check of a plugin fails, or gives something else than a reason.
    """
    quantization = node.type.quantization
    assert quantization is not None
    usage = Usage(node.type, node.name)
    with usage.running("check", tells_itself=True):
        reason: object = quantization.obstacle(node, graph, post_training)
    if reason is None or isinstance(reason, str):
        return reason
    own = post_training and quantization.check_post_training is not None
    raise usage.error(
        f"{'check_post_training' if own else 'check'} returned {shown(reason)}; expected None, or "
        "the reason for which the layer is not quantized, as a text."
    )


def checked_accumulators(node: Node, centered: NDArray[np.int32]) -> NDArray[Any]:
    """Return what the integer rule of a layer gives.

    Args:
        node: a quantized layer whose type has one.
        centered: int32 ``q - offset``, batch size first.

    Returns:
        Integers of the shape that the type's own rule of shapes gives, where it has one.

    Raises:
        PluginError: the rule fails, or gives something else.
    """
    assert node.type.accumulate is not None
    usage = Usage(node.type, node.name)
    with usage.running("accumulate", tells_itself=True):
        found = node.type.accumulate(node, centered)
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "iu" or found.ndim < 2:
        raise usage.error(
            f"accumulate gave {shown(found)}; expected an int64 array, batch and channels first."
        )
    shape = _shape(usage, node, centered.shape)
    if shape != found.shape[: len(shape)]:
        raise usage.error(
            f"accumulate gave an array of shape {found.shape}; expected {shape}, as the shape rule "
            f"of the type says for an input of shape {centered.shape}."
        )
    return found


def _shape(usage: Usage, node: Node, given: Tuple[int, ...]) -> Tuple[int, ...]:
    """Return the shape of the output; of a type that does not tell, the batch size alone."""
    if node.type.shape is None:
        return given[:1]
    with usage.running("shape", tells_itself=True):
        (shape,) = node.type.shape(node, [given])
    return given[:1] if shape is None else tuple(shape)
