"""Axes: where a value lies between two others, and which values are written beside it."""

from __future__ import annotations

import math
from typing import List, Sequence, Tuple

import attrs

from cpu_sim_backend.report_page import words

WIDTH = 1000
HEIGHT = 100
MOST_TICKS = 6


@attrs.frozen
class Tick:
    """A value beside an axis.

    Attributes:
        at: its place in percent of the axis.
        label: the value in words.
    """

    at: str
    label: str


@attrs.frozen
class Axis:
    """A linear axis.

    Attributes:
        low, high: the values at its ends; finite, and low below high.
    """

    low: float
    high: float

    def part(self, value: float) -> float:
        """Return where ``value`` lies, 0..1 of the axis; what lies outside is at its end."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))

    def x(self, value: float) -> str:
        """Return the horizontal coordinate of ``value``."""
        return coordinate(self.part(value) * WIDTH)

    def y(self, value: float) -> str:
        """Return the vertical coordinate of ``value``, from the top."""
        return coordinate((1 - self.part(value)) * HEIGHT)

    def ticks(self, most: int = MOST_TICKS) -> Tuple[Tick, ...]:
        """Return round values beside the axis, about so many."""
        return tuple(map(self.tick, self.values(most)))

    def values(self, most: int) -> List[float]:
        """Return round values along the axis, about so many."""
        step = _round_step((self.high - self.low) / most)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [index * step for index in range(first, last + 1)]

    def tick(self, value: float) -> Tick:
        """Return ``value`` beside the axis."""
        return Tick(percent(self.part(value)), words.number(value, 3))


def drawable(low: float, high: float) -> bool:
    """Return whether an axis can go from ``low`` to ``high``."""
    return math.isfinite(high - low) and low < high


def coordinate(value: float) -> str:
    """Return a coordinate with a tenth of a unit, and no needless digit."""
    return f"{value:.1f}".rstrip("0").rstrip(".")


def percent(part: float) -> str:
    """Return 0..1 as percent for a style."""
    return f"{100 * part:.2f}".rstrip("0").rstrip(".") + "%"


def skyline(edges: Sequence[str], tops: Sequence[str]) -> str:
    """Return the outline of bars side by side as the path of an SVG.

    Args:
        edges: horizontal coordinates of their sides, one more than bars.
        tops: vertical coordinates of their upper ends.
    """
    path = [f"M{edges[0]} {HEIGHT}"]
    for index, top in enumerate(tops):
        if index == 0 or tops[index - 1] != top:
            path.append(f"V{top}")
        if index + 1 == len(tops) or tops[index + 1] != top:
            path.append(f"H{edges[index + 1]}")
    return "".join(path) + f"V{HEIGHT}z"


def grouped(length: int, most: int) -> List[range]:
    """Return runs of neighbouring indices, at most ``most`` of them, all but the last as long."""
    size = max(1, -(-length // most))
    return [range(first, min(length, first + size)) for first in range(0, length, size)]


def _round_step(least: float) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that is not below ``least``."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
