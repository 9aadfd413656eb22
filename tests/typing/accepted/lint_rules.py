"""A rule of ``amct lint``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Optional

from amct_core.extensions import LintProblem, LintRule
from amct_core.graph import Graph
from amct_core.hookspecs import hookimpl


def check(graph: Graph, soc_version: Optional[str]) -> Iterator[LintProblem]:
    for node in graph.nodes:
        if len(node.name) > 40:
            yield LintProblem("its name is long.", node.name, field="name")


@hookimpl
def amct_lint_rules() -> Iterable[LintRule]:
    return [LintRule("LONG", "warning", "Long names", "Shorten them.", "Screens are small.", check)]
