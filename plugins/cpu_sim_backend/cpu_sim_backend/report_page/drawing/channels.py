"""The weights of each output channel as a bar from the lowest to the highest."""

from __future__ import annotations

import math
from typing import Collection, List, Tuple, Union

import attrs

from cpu_sim_backend.analysis.model import WeightReport
from cpu_sim_backend.report_page import words
from cpu_sim_backend.report_page.drawing.scale import (
    WIDTH,
    Axis,
    Tick,
    coordinate,
    drawable,
    grouped,
    skyline,
)

MOST_BARS = 256
LEAST_MARK = 6
"""A mark of one channel among hundreds is at least so wide, in units of the drawing."""


@attrs.frozen
class ChannelsDrawing:
    """The drawn channels.

    Attributes:
        ranges: bars of the weights' ranges as the path of an SVG.
        used: bars of the number of int8 values as the path of an SVG.
        outliers, dead: marks over and under the bars, as paths of one line; empty without any.
        zero: the vertical coordinate of weight 0.
        across, up: ticks of the channel numbers and of the weights.
        remarks: what must be said about the drawing, in sentences.
        summary: the drawing in a sentence.
    """

    ranges: str
    used: str
    outliers: str
    dead: str
    zero: str
    across: Tuple[Tick, ...]
    up: Tuple[Tick, ...]
    remarks: Tuple[str, ...]
    summary: str


def draw(weights: WeightReport) -> Union[ChannelsDrawing, str]:
    """Return the drawn channels, or in a sentence why there are none."""
    finite = [value for value in weights.lowest + weights.highest if math.isfinite(value)]
    if not finite:
        return "No channel has weights that are finite numbers."
    axis_up = Axis(min(0.0, *finite), max(0.0, *finite))
    if not drawable(axis_up.low, axis_up.high):
        return "All weights are 0."
    channels = len(weights.lowest)
    groups = grouped(channels, MOST_BARS)
    return ChannelsDrawing(
        ranges=_ranges(weights, groups, axis_up),
        used=_used(weights, groups),
        outliers=_marks(weights.outliers, groups),
        dead=_marks(weights.dead, groups),
        zero=axis_up.y(0),
        across=_numbers(channels, groups),
        up=axis_up.ticks(),
        remarks=_remarks(weights, groups, len(finite)),
        summary=(
            f"Weights of {words.plural(channels, 'output channel')}, from "
            f"{words.number(min(finite))} to {words.number(max(finite))}; "
            f"{len(weights.outliers)} outliers, {len(weights.dead)} dead."
        ),
    )


def _ranges(weights: WeightReport, groups: List[range], axis: Axis) -> str:
    path = []
    for column, group in enumerate(groups):
        values = [v for i in group for v in (weights.lowest[i], weights.highest[i])]
        values = [value for value in values if math.isfinite(value)]
        if values and (values[0] or any(values)):
            left, right = _sides(column, len(groups))
            top, bottom = axis.y(max(values)), axis.y(min(values))
            path.append(f"M{left} {top}H{right}V{bottom}H{left}z")
    return "".join(path)


def _used(weights: WeightReport, groups: List[range]) -> str:
    axis = Axis(0, 256)
    return skyline(
        [coordinate(column * WIDTH / len(groups)) for column in range(len(groups) + 1)],
        [axis.y(min(weights.used[index] for index in group)) for group in groups],
    )


def _marks(channels: Collection[int], groups: List[range]) -> str:
    marked = set(channels)
    path = []
    for column, group in enumerate(groups):
        if marked.intersection(group):
            centre = (column + 0.5) * WIDTH / len(groups)
            half = max(LEAST_MARK, WIDTH / len(groups)) / 2
            left = min(max(0.0, centre - half), WIDTH - 2 * half)
            path.append(f"M{coordinate(left)} 50h{coordinate(2 * half)}")
    return "".join(path)


def _sides(column: int, columns: int) -> Tuple[str, str]:
    width = WIDTH / columns
    gap = 0.12 * width if columns <= 128 else 0
    return coordinate(column * width + gap), coordinate((column + 1) * width - gap)


def _numbers(channels: int, groups: List[range]) -> Tuple[Tick, ...]:
    """Return ticks at the middle of the bars of some channels, whole numbers only."""
    size = groups[0].stop
    axis = Axis(-0.5 * size, (len(groups) - 0.5) * size)
    wanted = Axis(0, max(channels - 1, 1)).values(4)
    return tuple(axis.tick(value) for value in wanted if value % 1 == 0 and value < channels)


def _remarks(weights: WeightReport, groups: List[range], finite: int) -> Tuple[str, ...]:
    remarks = []
    if groups[0].stop > 1:
        remarks.append(
            f"Each bar is {groups[0].stop} neighbouring channels: their lowest and highest weight, "
            "and the fewest int8 values of any of them."
        )
    if finite < len(weights.lowest) + len(weights.highest):
        remarks.append("Weights that are infinite or not a number are not drawn.")
    return tuple(remarks)
