"""What each part of the page shows: the report in the order and the words in which it is read."""

from __future__ import annotations

import math
from typing import Dict, List, Optional, Sequence, Set, Tuple, Union

import attrs

from amct_core.numerics.exactness import EXACT_LIMIT
from cpu_sim_backend.analysis.model import (
    Finding,
    LayerReport,
    LearnedBounds,
    NetworkReport,
)
from cpu_sim_backend.report_page import cures, words
from cpu_sim_backend.report_page.drawing import bounds, channels, headroom, histogram, ranking
from cpu_sim_backend.report_page.drawing import network as network_drawing

ADVICE = "advice.json"
"""What the file with the cures is called in commands, where there is none yet."""

MOST_LINES = 6
"""So many lines on one cause are seen at once; further ones are folded."""

MOST_CURVES = 8
"""So many learned bounds are seen at once; further ones are folded."""


@attrs.frozen
class Cell:
    """A number in the table of layers.

    Attributes:
        heading: of its column.
        text: the number in words.
        key: what its column is sorted by, as JavaScript's ``Number`` reads it.
        bad: whether it is a reason to look at the layer.
    """

    heading: str
    text: str
    key: str
    bad: bool = False


@attrs.frozen
class LayerView:
    """A quantized layer.

    Attributes:
        index: its place in the network.
        anchor: of its section.
        report: its numbers.
        troubles, harmless: its findings.
        cells: its line in the table.
        histogram, channels: drawings, or in a sentence why there is none.
        headroom: bars.
        learned: whether its bounds over the training are on the page.
    """

    index: int
    anchor: str
    report: LayerReport
    troubles: Tuple[Finding, ...]
    harmless: Tuple[Finding, ...]
    cells: Tuple[Cell, ...]
    histogram: Union[histogram.HistogramDrawing, str]
    channels: Union[channels.ChannelsDrawing, str, None]
    headroom: Tuple[headroom.Bar, ...]
    learned: bool

    @property
    def said(self) -> Set[str]:
        """What its findings have said already."""
        return {each.measured for each in (*self.troubles, *self.harmless)}


@attrs.frozen
class Told:
    """What was found in several layers in the same words."""

    layers: Tuple[str, ...]
    measured: str
    cost: str


@attrs.frozen
class FindingGroup:
    """Findings of one cause that have one cure.

    Attributes:
        cause, cure: what they have in common.
        findings: the most important first.
        lines: what their cures change in the configurations.
    """

    cause: str
    cure: str
    findings: Tuple[Finding, ...]
    lines: Tuple[cures.Lines, ...]

    @property
    def told(self) -> Tuple[Told, ...]:
        """The findings, with those that say the same of other layers as one."""
        layers: Dict[Tuple[str, str], List[str]] = {}
        for finding in self.findings:
            layers.setdefault((finding.measured, finding.cost), []).append(finding.layer)
        return tuple(Told(tuple(names), *words) for words, names in layers.items())


@attrs.frozen
class Bounds:
    """Learned bounds of a layer and their drawing, or in a sentence why there is none."""

    layer: str
    drawing: Union[bounds.BoundsDrawing, str]


@attrs.frozen
class FloatGroup:
    """Layers that run in float for the same reason; the reason may be empty."""

    reason: str
    layers: Tuple[str, ...]


@attrs.frozen
class PageView:
    """The whole page.

    Attributes:
        report: what it shows.
        layers: in network order; ``table`` has the worst first.
        anchors: of the sections of layers, by name.
        cards: findings that need something to be done, the most important first.
        harmless: findings that need nothing.
        most_lines: so many lines of a group are seen at once.
        commands: that write all cures into a configuration.
        advice: the file that they read.
        has_advice: whether that file was written with the report.
        bounds, more_bounds: learned bounds, layers in trouble first.
        ranking, network: what their sections draw.
        float_groups: layers that could be quantized and are not.
    """

    report: NetworkReport
    layers: Tuple[LayerView, ...]
    table: Tuple[LayerView, ...]
    anchors: Dict[str, str]
    cards: Tuple[FindingGroup, ...]
    harmless: Tuple[FindingGroup, ...]
    most_lines: int
    commands: Tuple[str, ...]
    advice: str
    has_advice: bool
    bounds: Tuple[Bounds, ...]
    more_bounds: Tuple[Bounds, ...]
    ranking: ranking.Ranking
    network: Tuple[network_drawing.NetworkRow, ...]
    float_groups: Tuple[FloatGroup, ...]

    @property
    def troubles(self) -> Dict[str, List[str]]:
        """The causes that need something to be done, by layer."""
        found: Dict[str, List[str]] = {}
        for finding in self.report.findings:
            if not finding.harmless and finding.cause not in found.setdefault(finding.layer, []):
                found[finding.layer].append(finding.cause)
        return found


def view_of(report: NetworkReport, advice: Optional[str] = None) -> PageView:
    """Return what the page shows of a report, and of the file with its cures."""
    learned = {each.layer for each in report.bounds}
    layers = tuple(_layer(report, index, learned) for index in range(len(report.layers)))
    troubles = tuple(each for each in report.findings if not each.harmless)
    troubled = {each.layer for each in troubles}
    by_trouble = sorted(report.bounds, key=lambda each: each.layer not in troubled)
    curves = tuple(_bounds(each) for each in by_trouble)
    return PageView(
        report=report,
        layers=layers,
        table=tuple(sorted(layers, key=lambda view: _rank(view.report.alone.snr))),
        anchors={view.report.name: view.anchor for view in reversed(layers)},
        cards=_groups(troubles),
        harmless=_groups([each for each in report.findings if each.harmless]),
        most_lines=MOST_LINES,
        commands=cures.commands_of(report.findings, advice or ADVICE),
        advice=advice or ADVICE,
        has_advice=advice is not None,
        bounds=curves[:MOST_CURVES],
        more_bounds=curves[MOST_CURVES:],
        ranking=ranking.draw(report.layers),
        network=network_drawing.draw(report.graph, troubled),
        float_groups=_float_groups(report.float_layers),
    )


def _layer(report: NetworkReport, index: int, learned: Set[str]) -> LayerView:
    layer = report.layers[index]
    own = [each for each in report.findings if each.layer == layer.name]
    return LayerView(
        index=index,
        anchor=f"layer-{index}",
        report=layer,
        troubles=tuple(each for each in own if not each.harmless),
        harmless=tuple(each for each in own if each.harmless),
        cells=tuple(_cells(layer, report.sensitivity_samples is not None)),
        histogram=histogram.draw(layer.activation),
        channels=channels.draw(layer.weights) if layer.weights else None,
        headroom=headroom.draw(layer.integers),
        learned=layer.name in learned,
    )


def _cells(layer: LayerReport, with_sensitivity: bool) -> List[Cell]:
    integers, activation = layer.integers, layer.activation
    cells = [
        Cell("SNR alone", words.decibels(layer.alone.snr), _key(_rank(layer.alone.snr))),
        Cell(
            "SNR accumulated",
            words.decibels(layer.accumulated.snr),
            _key(_rank(layer.accumulated.snr)),
        ),
        Cell("Clipped", words.share(activation.clipped), _key(activation.clipped)),
        Cell("int8 used", f"{activation.used} of 256", _key(activation.used)),
        Cell(
            "Sum, of 24 bits",
            words.bits(integers.largest_partial_sum),
            _key(integers.largest_partial_sum),
            bad=integers.largest_partial_sum >= EXACT_LIMIT,
        ),
        Cell(
            "int16 saturated",
            words.share(integers.int16_saturated) if any(integers.shift_n) else "no N",
            _key(integers.int16_saturated),
            bad=integers.int16_saturated > 0,
        ),
    ]
    if with_sensitivity:
        cells.append(_sensitivity(layer))
    return cells


def _sensitivity(layer: LayerReport) -> Cell:
    if layer.sensitivity is None:
        return Cell("Error alone", "not measured", "-1")
    error = layer.sensitivity.quantized_alone
    key = math.inf if math.isnan(error) else error
    return Cell("Error alone", words.number(error, 3), _key(key))


def _rank(snr: float) -> float:
    """Return a ratio by which layers are sorted: what is not defined is the worst."""
    return -math.inf if math.isnan(snr) else snr


def _key(value: float) -> str:
    if math.isnan(value):
        return "-Infinity"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return f"{value:.6g}"


def _groups(findings: Sequence[Finding]) -> Tuple[FindingGroup, ...]:
    """Return findings by cause and cure, in the order in which the first of each comes."""
    groups: Dict[Tuple[str, str], List[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.cause, finding.cure), []).append(finding)
    return tuple(
        FindingGroup(cause, cure, tuple(each), cures.lines_of(each))
        for (cause, cure), each in groups.items()
    )


def _bounds(learned: LearnedBounds) -> Bounds:
    return Bounds(learned.layer, bounds.draw(learned))


def _float_groups(layers: Sequence[Tuple[str, str]]) -> Tuple[FloatGroup, ...]:
    groups: Dict[str, List[str]] = {}
    for name, reason in layers:
        groups.setdefault(reason, []).append(name)
    return tuple(FloatGroup(reason, tuple(names)) for reason, names in groups.items())
