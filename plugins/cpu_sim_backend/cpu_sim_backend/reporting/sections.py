"""The sections that plugins add to a report."""

from __future__ import annotations

import numbers
from typing import Iterator, List, Optional

import attrs

from amct_core.contracts.usage import Usage, shown
from amct_core.extensions import ReportSection, SectionContent
from amct_core.extensions.report import Cell
from amct_core.graph import Graph
from amct_core.plugins import Registries, registries
from cpu_sim_backend.analysis.model import NetworkReport, Section


def with_sections(
    report: NetworkReport, graph: Graph, plugins: Optional[Registries] = None
) -> NetworkReport:
    """Return ``report`` with the sections of plugins, in the order of their names.

    Args:
        report: what is known so far.
        graph: the deployable network.
        plugins: have the sections; None: the installed ones.

    Raises:
        PluginError: a section failed, or is not what it must be.
    """
    found: List[Section] = []
    for each in (plugins or registries()).report_sections:
        section = _section(each, report, graph)
        if section is not None:
            found.append(section)
    return attrs.evolve(report, sections=tuple(found)) if found else report


def _section(section: ReportSection, report: NetworkReport, graph: Graph) -> Optional[Section]:
    usage = Usage(section)
    with usage.running("build"):
        content: object = section.build(report.as_json(), graph)
    if content is None:
        return None
    if not isinstance(content, SectionContent):
        raise usage.error(f"build returned {shown(content)}; expected SectionContent or None.")
    for problem in _problems(content):
        raise usage.error(f"build returned {problem}.")
    rows = tuple(tuple(_plain(cell) for cell in row) for row in content.rows)
    return Section(section.name, section.title, content.paragraphs, content.headings, rows)


def _problems(content: SectionContent) -> Iterator[str]:
    for text in (*content.paragraphs, *content.headings):
        if not isinstance(text, str):
            yield f"{shown(text)} among its paragraphs and headings; expected text"
    for row in content.rows:
        if len(row) != len(content.headings):
            yield f"a row of {len(row)} cells; expected {len(content.headings)}, one per heading"
        for cell in row:
            if not isinstance(cell, (str, numbers.Real)):
                yield f"{shown(cell)} as a cell; expected text or a number"


def _plain(cell: Cell) -> Cell:
    """Return numbers of NumPy, and others, as Python's own: JSON knows no others."""
    if isinstance(cell, (str, bool)):
        return cell
    return int(cell) if isinstance(cell, numbers.Integral) else float(cell)
