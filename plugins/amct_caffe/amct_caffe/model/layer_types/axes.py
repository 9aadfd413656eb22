"""Axes and shapes, as every family of layer types needs them."""

from __future__ import annotations

import math
from typing import Any, Optional, Sequence

from numpy.typing import NDArray

from amct_core.errors import ModelError
from amct_core.extensions.layer_type import Shape
from amct_core.graph import Node

Array = NDArray[Any]
Shapes = Sequence[Shape]
Outputs = Sequence[Optional[Shape]]


def unknown(node: Node) -> Outputs:
    """Return no shape for any output."""
    return [None] * len(node.tops)


def canonical_axis(node: Node, axis: int, shape: Shape) -> int:
    """Return ``axis`` counted from the front.

    Raises:
        ModelError: ``shape`` has no such axis.
    """
    if not -len(shape) <= axis < len(shape):
        raise ModelError(
            f"it works along axis {axis}, but its input {shape} has {len(shape)} axes.",
            layer=node.name,
            remedy="Choose an axis that the input has.",
        )
    return axis % len(shape)


def count(shape: Sequence[int]) -> int:
    """Return how many values a tensor of this shape has."""
    return math.prod(shape)


def on_channels(values: Array, ndim: int) -> Array:
    """Return one value per channel, shaped to broadcast along axis 1 of ``ndim`` axes."""
    return values.reshape((1, -1) + (1,) * (ndim - 2))
