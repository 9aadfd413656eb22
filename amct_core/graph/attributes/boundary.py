"""Layers through which data comes in, or changes between float32 and integers."""

from __future__ import annotations

from typing import Optional, Tuple

import attrs

from amct_core.graph.attributes.base import Attributes


@attrs.frozen
class Input(Attributes):
    """Network input: one shape per output."""

    shapes: Tuple[Tuple[int, ...], ...]


@attrs.frozen
class Data(Attributes):
    """A layer that brings data in.

    ``shapes`` holds, for each output, the shape as far as the layer's own parameters tell it
    (batch size first), or None.
    """

    shapes: Tuple[Optional[Tuple[int, ...]], ...] = ()


@attrs.frozen
class Quant(Attributes):
    """AscendQuant: ``clamp(rint(x * scale + offset), -128, 127)`` with float32 ``scale``.

    ``float16``: product and sum are rounded to float16, as some processors do.  No file says so;
    a graph that stands for what a processor computes does.
    """

    scale: float
    offset: int
    float16: bool = False


@attrs.frozen
class DeQuant(Attributes):
    """AscendDequant: everything it needs is in its one packed uint64 weight blob."""


@attrs.frozen
class Float16(Attributes):
    """Rounds to float16; found only in a graph that stands for what a processor computes.

    ``through``: the input goes through this Quant and back into numbers first (AntiQuant).
    """

    through: Optional[Quant] = None
