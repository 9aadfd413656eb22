"""Which layers of a fake-quant model are split, so that float32 sums of integers are exact.

Whoever renders a fake-quant model and whoever checks one must agree on the parts: both ask here.
"""

from __future__ import annotations

from typing import Any, Optional, Tuple

from amct_core.extensions import WeightAxes
from amct_core.numerics import exactness


def accumulator_parts(
    axes: Optional[WeightAxes], weights: Optional[Any], offset: int
) -> Tuple[slice, ...]:
    """Return the ranges of input channels that a layer is split into; one if it is not.

    Args:
        axes: of the layer's type.
        weights: int8, in the framework's layout.
        offset: offset_d of the layer's input.
    """
    if axes is None or axes.input is None or weights is None:
        return (slice(None),)
    return exactness.input_parts(weights, offset, axes.output, axes.input)


def weights_of_part(axes: WeightAxes, weights: Any, part: slice) -> Any:
    """Return the weights of the input channels ``part``, a view."""
    assert axes.input is not None
    return weights[(slice(None),) * axes.input + (part,)]


def part_names(accumulator: str, count: int) -> Tuple[str, ...]:
    """Return the blobs of the parts of ``accumulator``: itself if there is one part only."""
    if count == 1:
        return (accumulator,)
    return tuple(f"{accumulator}_part{index}" for index in range(count))


def whole_accumulator(part: str) -> str:
    """Return the blob whose part is called ``part``: the inverse of :func:`part_names`."""
    head, separator, index = part.rpartition("_part")
    return head if separator and index.isdigit() else part
