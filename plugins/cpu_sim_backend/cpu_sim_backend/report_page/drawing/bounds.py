"""Learned clip bounds over the iterations of a training."""

from __future__ import annotations

import math
from typing import List, Sequence, Tuple, Union

import attrs

from cpu_sim_backend.analysis.model import LearnedBounds
from cpu_sim_backend.report_page import words
from cpu_sim_backend.report_page.drawing.scale import Axis, Tick, drawable, grouped

MOST_POINTS = 160


@attrs.frozen
class BoundsDrawing:
    """Two lines over the iterations.

    Attributes:
        clip_min, clip_max: the lines as paths of an SVG, broken where a value is not finite.
        across, up: ticks of iterations and of bounds.
        remarks: what must be said about the drawing, in sentences.
        summary: where the bounds began and ended.
    """

    clip_min: str
    clip_max: str
    across: Tuple[Tick, ...]
    up: Tuple[Tick, ...]
    remarks: Tuple[str, ...]
    summary: str


def draw(bounds: LearnedBounds) -> Union[BoundsDrawing, str]:
    """Return the drawn lines, or in a sentence why there are none."""
    if not bounds.iterations:
        return "No bound was noted."
    summary = f"clip_max {_journey(bounds.clip_max)}; clip_min {_journey(bounds.clip_min)}"
    finite = [value for value in bounds.clip_min + bounds.clip_max if math.isfinite(value)]
    if len(bounds.iterations) < 2 or not finite:
        return f"Not enough to draw: {summary}."
    low, high = min(0.0, *finite), max(0.0, *finite)
    across = Axis(bounds.iterations[0], bounds.iterations[-1])
    up = Axis(low, high)
    if not (drawable(across.low, across.high) and drawable(low, high)):
        return f"Nothing changes that could be drawn: {summary}."
    return BoundsDrawing(
        clip_min=_line(bounds.iterations, bounds.clip_min, across, up),
        clip_max=_line(bounds.iterations, bounds.clip_max, across, up),
        across=across.ticks(3),
        up=up.ticks(),
        remarks=_remarks(bounds, len(finite)),
        summary=summary,
    )


def _line(iterations: Sequence[int], values: Sequence[float], across: Axis, up: Axis) -> str:
    path = []
    pen_is_down = False
    for index in _kept(values):
        value = values[index]
        if not math.isfinite(value):
            pen_is_down = False
            continue
        path.append(
            f"{'L' if pen_is_down else 'M'}{across.x(iterations[index])} {up.y(value)}",
        )
        pen_is_down = True
    return "".join(path)


def _kept(values: Sequence[float]) -> List[int]:
    """Return the points to draw: of each group the extremes, and one that is not finite."""
    if len(values) <= MOST_POINTS:
        return list(range(len(values)))
    kept = {0, len(values) - 1}
    for group in grouped(len(values), MOST_POINTS // 2):
        finite = [index for index in group if math.isfinite(values[index])]
        kept.update(index for index in group[:1] if len(finite) < len(group))
        if finite:
            kept.update((min(finite, key=values.__getitem__), max(finite, key=values.__getitem__)))
    return sorted(kept)


def _journey(values: Sequence[float]) -> str:
    first, last = words.number(values[0], 3), words.number(values[-1], 3)
    return f"{first}" if first == last else f"{first} → {last}"


def _remarks(bounds: LearnedBounds, finite: int) -> Tuple[str, ...]:
    remarks = []
    if finite < len(bounds.clip_min) + len(bounds.clip_max):
        first = next(
            iteration
            for iteration, *values in zip(bounds.iterations, bounds.clip_min, bounds.clip_max)
            if not all(math.isfinite(value) for value in values)
        )
        remarks.append(f"From iteration {words.count(first)} on, a bound is no finite number.")
    if len(bounds.iterations) > MOST_POINTS:
        remarks.append(
            f"{words.count(len(bounds.iterations))} points; the extremes of "
            f"{MOST_POINTS // 2} groups are drawn."
        )
    return tuple(remarks)
