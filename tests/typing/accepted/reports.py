"""A metric and a section of the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from amct_core.extensions import Evaluator, ReportSection, SectionContent
from amct_core.graph import Graph
from amct_core.hookspecs import hookimpl

Array = NDArray[Any]


def largest(outputs: Mapping[str, Array], labels: Optional[Array]) -> float:
    return float(np.mean([array.max() for array in outputs.values()]))


def layers(report: Mapping[str, Any], graph: Graph) -> Optional[SectionContent]:
    rows = [(node.name, len(node.weights)) for node in graph.nodes]
    return SectionContent(("All layers.",), ("layer", "blobs"), tuple(rows)) if rows else None


@hookimpl
def amct_evaluators() -> Iterable[Evaluator]:
    return [Evaluator("largest", "the largest output", largest)]


@hookimpl
def amct_report_sections() -> Iterable[ReportSection]:
    return [ReportSection("layers", "Layers", build=layers)]
