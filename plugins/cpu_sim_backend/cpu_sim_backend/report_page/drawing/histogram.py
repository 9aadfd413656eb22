"""The histogram of an activation, with what int8 can represent of it."""

from __future__ import annotations

import math
import statistics
from typing import List, Tuple, Union

import attrs

from cpu_sim_backend.analysis.model import ActivationReport
from cpu_sim_backend.report_page import words
from cpu_sim_backend.report_page.drawing.scale import (
    HEIGHT,
    Axis,
    Tick,
    coordinate,
    drawable,
    grouped,
    percent,
    skyline,
)

MOST_BARS = 160
MOST_DATA_WIDTHS = 4
"""So many times the width of the data are drawn at most where the bounds lie far outside."""

LOGARITHMIC_FROM = 30
"""So many times the usual count the largest one may be, before all others are too low to see."""


@attrs.frozen
class Line:
    """A clip bound.

    Attributes:
        at: its place in percent of the width.
        label: its name and value.
        left: whether the label stands to the left of the line.
    """

    at: str
    label: str
    left: bool


@attrs.frozen
class HistogramDrawing:
    """A drawn histogram.

    Attributes:
        bars: the outline of all bars as the path of an SVG.
        shaded: where values are clipped, as (from, width) in percent.
        lines: the clip bounds.
        across, up: ticks of the values and of the counts.
        remarks: what must be said about the drawing, in sentences.
        summary: the drawing in a sentence.
    """

    bars: str
    shaded: Tuple[Tuple[str, str], ...]
    lines: Tuple[Line, ...]
    across: Tuple[Tick, ...]
    up: Tuple[Tick, ...]
    remarks: Tuple[str, ...]
    summary: str


def draw(activation: ActivationReport) -> Union[HistogramDrawing, str]:
    """Return the drawn histogram, or in a sentence why there is none."""
    histogram = activation.histogram
    if not any(histogram.counts):
        return "No finite value was seen: there is no histogram."
    if not drawable(histogram.low, histogram.high):
        return f"All values are {words.number(histogram.low)}: there is no histogram to draw."
    axis, remarks = _axis(activation)
    groups = grouped(len(histogram.counts), MOST_BARS)
    counts = [sum(histogram.counts[index] for index in group) for group in groups]
    width = (histogram.high - histogram.low) / len(histogram.counts)
    edges = [histogram.low + group.start * width for group in groups]
    edges.append(histogram.high)
    logarithmic = max(counts) > LOGARITHMIC_FROM * statistics.median(c for c in counts if c)
    if logarithmic:
        remarks.append("The counts are drawn on a logarithmic axis.")
    if groups[0].stop > 1:
        remarks.append(f"Each bar is {groups[0].stop} bins.")
    return HistogramDrawing(
        bars=_outline(axis, edges, counts, logarithmic),
        shaded=_shaded(activation, axis),
        lines=tuple(_lines(activation, axis)),
        across=axis.ticks(),
        up=_count_ticks(max(counts), logarithmic),
        remarks=tuple(remarks),
        summary=_summary(activation),
    )


def _axis(activation: ActivationReport) -> Tuple[Axis, List[str]]:
    """Return an axis over data and clip bounds, and what to say where a bound is too far off."""
    low, high = activation.histogram.low, activation.histogram.high
    room = (MOST_DATA_WIDTHS - 1) * (high - low)
    remarks = []
    bounds = {"lower": activation.clip_min, "upper": activation.clip_max}
    for name, bound in bounds.items():
        if not low - room <= bound <= high + room:
            remarks.append(
                f"The {name} clip bound, {words.number(bound)}, lies beyond the drawing."
            )
        else:
            low, high = min(low, bound), max(high, bound)
    return Axis(low, high), remarks


def _outline(axis: Axis, edges: List[float], counts: List[int], logarithmic: bool) -> str:
    top = _height(max(counts), logarithmic)
    parts = (_height(count, logarithmic) / top for count in counts)
    return skyline(
        [axis.x(edge) for edge in edges],
        [coordinate(HEIGHT * (1 - part)) for part in parts],
    )


def _height(count: float, logarithmic: bool) -> float:
    return math.log10(1 + count) if logarithmic else float(count)


def _count_ticks(largest: int, logarithmic: bool) -> Tuple[Tick, ...]:
    if not logarithmic:
        axis = Axis(0, largest)
        return tuple(
            Tick(axis.tick(n).at, words.count(int(n))) for n in axis.values(3) if n % 1 == 0
        )
    top = _height(largest, logarithmic)
    powers = range(int(math.log10(largest)) + 1)
    step = -(-len(powers) // 4)
    return tuple(Tick(percent(_height(10**p, True) / top), _power(p)) for p in powers[::step])


def _power(exponent: int) -> str:
    return words.count(10**exponent) if exponent < 5 else words.number(10.0**exponent)


def _shaded(activation: ActivationReport, axis: Axis) -> Tuple[Tuple[str, str], ...]:
    below, above = axis.part(activation.clip_min), axis.part(activation.clip_max)
    found = []
    if below > 0:
        found.append((percent(0), percent(below)))
    if above < 1:
        found.append((percent(above), percent(1 - above)))
    return tuple(found)


def _lines(activation: ActivationReport, axis: Axis) -> List[Line]:
    bounds = (("clip_min", activation.clip_min), ("clip_max", activation.clip_max))
    return [
        Line(
            at=percent(axis.part(value)),
            label=f"{name} {words.number(value, 3)}",
            left=axis.part(value) > 0.5,
        )
        for name, value in bounds
        if axis.low <= value <= axis.high
    ]


def _summary(activation: ActivationReport) -> str:
    return (
        f"Histogram of {activation.blob}: values from {words.number(activation.lowest)} to "
        f"{words.number(activation.highest)}; int8 represents {words.number(activation.clip_min)} "
        f"to {words.number(activation.clip_max)}; {words.share(activation.clipped)} are clipped."
    )
