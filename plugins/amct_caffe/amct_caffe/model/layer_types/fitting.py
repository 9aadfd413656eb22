"""Whether a layer, with the weights that it has, can take inputs of given shapes.

Caffe checks the same in ``LayerSetUp`` and ``Reshape`` of its layers, and ends the process.  These
are the checks that :attr:`amct_core.extensions.LayerType.check_inputs` asks for, as far as several
families of layer types need them.
"""

from __future__ import annotations

from typing import Callable

from amct_caffe.model.layer_types.axes import Shapes, canonical_axis
from amct_core.errors import ModelError
from amct_core.extensions.layer_type import Shape
from amct_core.graph import Node

Check = Callable[[Node, Shapes], None]


def all_of(*checks: Check) -> Check:
    """Return a check that makes each of ``checks``."""

    def check(node: Node, inputs: Shapes) -> None:
        for each in checks:
            each(node, inputs)

    return check


def axes(least: int, most: int) -> Check:
    """Return a check of how many axes the first input has."""

    def check(node: Node, inputs: Shapes) -> None:
        if not least <= len(inputs[0]) <= most:
            expected = f"{least}" if least == most else f"{least} to {most}"
            raise misfit(node, inputs[0], f"has {len(inputs[0])} axes; expected {expected}")

    return check


MOST_AXES = 32
"""Caffe's limit, ``kMaxBlobAxes``."""

image = axes(4, 4)
channels = axes(2, MOST_AXES)


def one_shape(node: Node, inputs: Shapes) -> None:
    """Check that all inputs have one shape."""
    for shape in inputs[1:]:
        if shape != inputs[0]:
            raise misfit(node, inputs[0], f"differs from another one, {shape}")


def per_channel(node: Node, inputs: Shapes) -> None:
    """Check that each blob has one number, or one per channel (axis 1)."""
    channels(node, inputs)
    for index, blob in enumerate(node.weights):
        if blob.size not in (1, inputs[0][1]):
            raise misfit(
                node, inputs[0], f"has {inputs[0][1]} channels; blob {index} is for {blob.size}"
            )


def along(node: Node, inputs: Shapes, axis: int, num_axes: int) -> None:
    """Check that the other inputs and the blobs have the first input's sizes from ``axis`` on.

    Without another input, blobs are for ``num_axes`` axes; -1: for all from ``axis`` on.
    """
    shape = inputs[0]
    start = canonical_axis(node, axis, shape)
    count = len(shape) - start if num_axes == -1 else num_axes
    for other in (*inputs[1:], *(blob.shape for blob in node.weights)):
        fits = other == shape[start : start + len(other)]
        if not fits or (len(inputs) == 1 and len(other) != count):
            raise misfit(node, shape, f"is to be combined from axis {start} on with {other}")


def misfit(node: Node, shape: Shape, problem: str) -> ModelError:
    """Return an error about an input."""
    return ModelError(
        f"its input {shape} {problem}.",
        layer=node.name,
        remedy="Check the parameters and weights of this layer against its input.",
    )
