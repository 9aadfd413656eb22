"""Sizes that a layer gives once, once per axis, or by height and width."""

from __future__ import annotations

from typing import Optional, Tuple

from amct_caffe.model.parameters import Parameters


def per_axis(
    parameters: Parameters, field: str, prefix: Optional[str], axes: int, default: Optional[int]
) -> Tuple[int, ...]:
    """Return one value per spatial axis from ``field`` (repeated) or ``<prefix>_h`` and ``_w``.

    Source: BVLC Caffe, ``BaseConvolutionLayer::LayerSetUp``.
    """
    if prefix is not None and parameters.has(f"{prefix}_h", f"{prefix}_w"):
        return height_and_width(parameters, field, prefix)
    values = parameters.integers(field)
    if not values and default is not None:
        values = [default]
    if len(values) not in (1, axes):
        raise parameters.error(
            field,
            f"it has {len(values)} values; expected one, or one for each of {axes} axes.",
            f"Give '{field}' once.",
        )
    return tuple(values * axes if len(values) == 1 else values)


def height_and_width(parameters: Parameters, field: str, prefix: str) -> Tuple[int, int]:
    """Return ``<prefix>_h`` and ``<prefix>_w``, which must not stand beside ``field``."""
    sides = (f"{prefix}_h", f"{prefix}_w")
    # A convolution's padding may be given for one side alone; the other one is then 0.
    alone = prefix == "pad" and parameters.field == "convolution_param"
    both = alone or all(parameters.has(side) for side in sides)
    if parameters.has(field) or not both:
        raise parameters.error(
            sides[0],
            f"expected either '{field}', or both '{sides[0]}' and '{sides[1]}'.",
            f"Give '{sides[0]}' and '{sides[1]}' alone.",
        )
    return parameters.integer(sides[0]), parameters.integer(sides[1])


def pair(parameters: Parameters, field: str, prefix: str) -> Tuple[int, int]:
    """Return (height, width) from ``field``, which holds for both, or from each one's own."""
    if parameters.has(f"{prefix}_h", f"{prefix}_w"):
        return height_and_width(parameters, field, prefix)
    value = parameters.integer(field)
    return value, value
