"""What a shape rule is, and what all of them need."""

from __future__ import annotations

import math
from typing import Callable, Optional, Sequence, Tuple

from amct_core.errors import ModelError
from amct_core.graph.graph import Node

Shape = Tuple[int, ...]
Shapes = Sequence[Shape]
Outputs = Sequence[Optional[Shape]]
"""One shape for each output; None where it is unknown."""

Rule = Callable[[Node, Shapes], Outputs]
"""From the shapes of all inputs to those of all outputs."""


def same(node: Node, inputs: Shapes) -> Outputs:
    """Return the first input's shape for every output."""
    return [inputs[0]] * len(node.tops)


def with_four_axes(node: Node, inputs: Shapes) -> Outputs:
    """Return the input's shape with sizes of 1 behind it, as Caffe's MVN makes it."""
    return [inputs[0] + (1,) * (4 - len(inputs[0]))]


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
