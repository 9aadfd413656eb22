"""The sections that plugins add to a report."""

from __future__ import annotations

import numbers
import re
from typing import Dict, Iterator, List, Mapping, Optional, Tuple

import attrs

from amct_core.contracts.usage import Usage, shown
from amct_core.errors import AmctError, PluginError
from amct_core.extensions import ReportSection, SectionContent
from amct_core.extensions.report import Cell
from amct_core.graph import Graph
from amct_core.plugins import Registries, registries
from cpu_sim_backend.analysis.model import NetworkReport, Section

_NOT_MADE = "It could not be made"


@attrs.frozen
class PluginSections:
    """What plugins add to a report.

    Attributes:
        sections: in the order of their names; one that failed says so in place of its content.
        failed: why, by the name of the section, or of the plugin whose hook failed.
    """

    sections: Tuple[Section, ...] = ()
    failed: Mapping[str, AmctError] = attrs.field(factory=dict)

    def require_all(self) -> None:
        """Raise a PluginError, whose cause is the first failure, if there is one."""
        for error in self.failed.values():
            raise PluginError(
                f"parts of the report failed: {', '.join(self.failed)}; it says how in their place."
            ) from error


def sections_of_plugins(
    report: NetworkReport, graph: Graph, plugins: Optional[Registries] = None
) -> PluginSections:
    """Return the sections that plugins add to ``report``; one that fails stops no other.

    Args:
        report: what is known so far.
        graph: the deployable network.
        plugins: have the sections; None: the installed ones.
    """
    registry = (plugins or registries()).report_sections
    found: List[Section] = []
    failed: Dict[str, AmctError] = {}
    for each in registry:
        try:
            section = _section(each, report, graph)
        except AmctError as error:
            failed[f"section '{each.name}' of plugin '{each.provider}'"] = error
            section = Section(each.name, each.title, (f"{_NOT_MADE}: {error}",))
        if section is not None:
            found.append(section)
    for plugin, why in registry.left_out.items():
        failed[f"the sections of plugin '{plugin}'"] = why
        name = f"sections_of_{re.sub(r'[^A-Za-z0-9_.-]', '_', plugin)}"
        found.append(Section(name, f"Sections of plugin '{plugin}'", (f"{_NOT_MADE}: {why}",)))
    return PluginSections(tuple(found), failed)


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
