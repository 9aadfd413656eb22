"""Rules that plugins add: they look at the network as a graph, where it can be read as one."""

from __future__ import annotations

from typing import Iterator, List, Optional, Tuple

import attrs

from amct_core.contracts.usage import Usage, shown
from amct_core.errors import AmctError
from amct_core.extensions import LintProblem, LintRule
from amct_core.graph import Graph
from amct_core.plugins import Registries, registries
from amct_core.workflow import frontend_for
from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.rule import Finding


@attrs.frozen
class PluginFindings:
    """What the rules of plugins have found.

    Attributes:
        findings: in the order of the rules' names.
        not_checked: why the rules could not be checked; None: they were, or there are none.
    """

    findings: Tuple[Finding, ...] = ()
    not_checked: Optional[str] = None


def find_by_plugins(model: DeployModel, plugins: Optional[Registries] = None) -> PluginFindings:
    """Check the rules of plugins.

    Args:
        model: what is checked; its files are read once more, as they are for a simulation.
        plugins: have the rules; None: the installed ones.

    Raises:
        PluginError: a rule failed, or gave something else than problems.
    """
    plugins = plugins or registries()
    rules = list(plugins.lint_rules)
    if not rules:
        return PluginFindings()
    try:
        frontend = frontend_for(model.file, plugins)
        graph = frontend.read_deployed(model.file, model.weights.file)
    except AmctError as error:
        return PluginFindings(not_checked=str(error))
    soc_version = None if model.target is None else model.target.soc_version
    found = (_found(rule, graph, soc_version) for rule in rules)
    return PluginFindings(tuple(finding for each in found for finding in each))


def _found(rule: LintRule, graph: Graph, soc_version: Optional[str]) -> Iterator[Finding]:
    usage = Usage(rule)
    with usage.running("check"):
        problems: List[object] = list(rule.check(graph, soc_version))
    for problem in problems:
        if not isinstance(problem, LintProblem):
            raise usage.error(f"check gave {shown(problem)} among its items; expected LintProblem.")
        yield Finding(rule, problem)
