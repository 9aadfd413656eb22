"""What ``amct report`` prints without a file: the verdict, the findings, the layers."""

from __future__ import annotations

import math
import shutil
import textwrap
from typing import Dict, Iterator, List, Sequence, Tuple

from cpu_sim_backend.analysis.causes import costs_accuracy
from cpu_sim_backend.analysis.model import Finding, LayerReport, NetworkReport

_NARROWEST, _WIDEST = 40, 100
_INDENT = "    "
_HEADINGS = ("layer", "type", "alone", "accumulated", "clipped", "int8 values")
_SENSITIVITIES = ("one in int8", "one in float")
_CAUSES = "causes"


def lines(report: NetworkReport, width: int = 0) -> Iterator[str]:
    """Yield lines; text folds at the width of the terminal, and nothing is cut off.

    Args:
        report: what was found.
        width: columns; 0: those of the terminal.
    """
    columns = width or _columns()
    yield from _folded(report.verdict, columns)
    yield ""
    costly = [each for each in report.findings if costs_accuracy(each)]
    for number, finding in enumerate(costly, 1):
        yield from _finding(number, finding, columns)
    others = [each for each in report.findings if not costs_accuracy(each)]
    yield from _costs_nothing(others, columns)
    yield from table(report)
    yield ""
    yield from sections(report, columns)
    for note in report.notes:
        yield from _folded(note, columns)


def folded(text: str) -> List[str]:
    """Return ``text`` in lines of the terminal's width."""
    return _folded(text, _columns())


def _columns() -> int:
    return max(_NARROWEST, min(shutil.get_terminal_size((80, 24)).columns, _WIDEST))


def _folded(text: str, columns: int, first: str = "", rest: str = "") -> List[str]:
    return textwrap.wrap(
        text,
        columns,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [""]


def _finding(number: int, finding: Finding, columns: int) -> Iterator[str]:
    yield from _folded(f"{number}. {finding.layer}: {finding.cause}", columns, "", _INDENT)
    for word, text in (
        ("found", finding.measured),
        ("cost", finding.cost),
        ("cure", finding.cure),
    ):
        yield from _folded(f"{word}: {text}", columns, _INDENT, _INDENT + "  ")
    yield ""


def _costs_nothing(findings: Sequence[Finding], columns: int) -> Iterator[str]:
    """Yield one paragraph for each cause and what was measured, whatever the number of layers."""
    for cause in dict.fromkeys(each.cause for each in findings):
        same = [each for each in findings if each.cause == cause]
        layers: Dict[str, List[str]] = {}
        for each in same:
            layers.setdefault(each.measured, []).append(each.layer)
        named = "; ".join(f"{', '.join(names)}: {said}" for said, names in layers.items())
        word = "harmless" if same[0].harmless else "costs no accuracy"
        text = f"{word}, {cause}: {named}. What it costs: {same[0].cost}. {same[0].cure}"
        yield from _folded(text, columns, "", _INDENT)
    if findings:
        yield ""


def table(report: NetworkReport) -> Iterator[str]:
    """Yield the layers, the worst first: those that cost most, where sensitivities are known."""
    causes = {
        layer.name: ", ".join(each.cause for each in report.findings if each.layer == layer.name)
        for layer in report.layers
    }
    measured = report.sensitivity_samples is not None
    headings = [*_HEADINGS, *(_SENSITIVITIES if measured else ()), _CAUSES]
    rows: List[Sequence[str]] = [headings]
    for layer in worst_first(report.layers):
        rows.append([*_row(layer), *(_errors(layer) if measured else ()), causes[layer.name]])
    widths = [max(len(row[column]) for row in rows) for column in range(len(headings))]
    for row in rows:
        cells = (
            cell.ljust(width) if column in (0, 1, len(row) - 1) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        )
        yield "  ".join(cells).rstrip()
    if report.all_quantized is not None:
        yield ""
        yield from folded(
            f"Mean squared errors of the outputs on {report.sensitivity_samples} samples: with one "
            "layer alone in int8, and with all in int8 except one, which is to be compared with "
            f"{report.all_quantized:.3g}, that of all in int8."
        )


def sections(report: NetworkReport, width: int = 0) -> Iterator[str]:
    """Yield the sections of plugins, each with an empty line behind it."""
    columns = width or _columns()
    for section in report.sections:
        yield from _folded(section.title, columns)
        for paragraph in section.paragraphs:
            yield from _folded(_printable(paragraph), columns, _INDENT, _INDENT)
        if section.headings:
            rows = [section.headings, *section.texts()]
            yield from (f"{_INDENT}{line}" for line in _aligned(rows))
        yield ""


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    cells = [[_printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()


def _printable(text: str) -> str:
    """Return ``text`` without what would move a terminal's cursor: one space in place of each."""
    return "".join(each if each.isprintable() else " " for each in text)


def worst_first(layers: Sequence[LayerReport]) -> List[LayerReport]:
    """Return the layers by the SNR of their output alone; those that have none come last.

    Where sensitivities are known, by what each alone in int8 costs.
    """

    def key(layer: LayerReport) -> Tuple[float, bool, float]:
        found = layer.sensitivity
        error = 0.0 if found is None else found.quantized_alone
        return -error, math.isnan(layer.alone.snr), layer.alone.snr

    return sorted(layers, key=key)


def _errors(layer: LayerReport) -> Sequence[str]:
    found = layer.sensitivity
    return (
        ("", "") if found is None else (f"{found.quantized_alone:.3g}", f"{found.float_alone:.3g}")
    )


def _row(layer: LayerReport) -> Sequence[str]:
    return (
        layer.name,
        layer.type,
        _decibels(layer.alone.snr),
        _decibels(layer.accumulated.snr),
        f"{100 * layer.activation.clipped:.3g} %",
        str(layer.activation.used),
    )


def _decibels(snr: float) -> str:
    if math.isnan(snr):
        return "-"
    return "exact" if math.isinf(snr) else f"{round(snr, 1) + 0.0:.1f} dB"  # no "-0.0"
