"""Which layers of a fake-quant model are split, so that float32 sums of integers are exact.

Whoever renders a fake-quant model and whoever checks one must agree on the parts: both ask here.
"""

from __future__ import annotations

from typing import Any, Optional, Tuple

from amct_core.numerics import exactness

SPLITTABLE_OPS = frozenset({"Convolution", "Deconvolution", "InnerProduct"})
"""Layer types whose weights have output and input channels as their first two axes."""


def accumulator_parts(op: str, weights: Optional[Any], offset: int) -> Tuple[slice, ...]:
    """Return the ranges of input channels that a layer is split into; one if it is not.

    Args:
        op: layer type.
        weights: int8, in Caffe's layout: output channels first, second for Deconvolution.
        offset: offset_d of the layer's input.
    """
    if op not in SPLITTABLE_OPS or weights is None:
        return (slice(None),)
    output_axis = 1 if op == "Deconvolution" else 0
    return exactness.input_parts(weights, offset, output_axis, 1 - output_axis)


def weights_of_part(op: str, weights: Any, part: slice) -> Any:
    """Return the weights of the input channels ``part``, a view."""
    return weights[part] if op == "Deconvolution" else weights[:, part]


def part_names(accumulator: str, count: int) -> Tuple[str, ...]:
    """Return the blobs of the parts of ``accumulator``: itself if there is one part only."""
    if count == 1:
        return (accumulator,)
    return tuple(f"{accumulator}_part{index}" for index in range(count))
