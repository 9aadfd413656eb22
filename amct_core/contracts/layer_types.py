"""The contract of the integer rule of a :class:`~amct_core.extensions.LayerType`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_core.contracts.usage import Usage, shown

if TYPE_CHECKING:
    from amct_core.graph import Node


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
