"""Rules that plugins add: they look at the network as a graph, where it can be read as one."""

from __future__ import annotations

import logging
import re
from typing import Dict, Iterator, List, Mapping, Optional, Tuple

import attrs

from amct_core.contracts.usage import Usage, shown
from amct_core.errors import AmctError, PluginError
from amct_core.extensions import LintProblem, LintRule
from amct_core.extensions.lint_rule import ERROR
from amct_core.graph import Graph
from amct_core.plugins import Registries, registries
from amct_core.workflow import frontend_for
from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.rule import Finding

_log = logging.getLogger("ascend_backend.lint")


@attrs.frozen
class PluginFindings:
    """What the rules of plugins have found.

    Attributes:
        findings: in the order of the rules' names; a rule that failed is one, an error.
        not_checked: why the rules could not be checked; None: they were, or there are none.
        failed: why rules that are among the findings could not be checked, by who they are.
    """

    findings: Tuple[Finding, ...] = ()
    not_checked: Optional[str] = None
    failed: Mapping[str, AmctError] = attrs.field(factory=dict)

    def require_all(self) -> None:
        """Raise a PluginError, whose cause is the first failure, if there is one."""
        for error in self.failed.values():
            raise PluginError(
                f"could not be checked: {', '.join(self.failed)}; the findings say why."
            ) from error


def find_by_plugins(model: DeployModel, plugins: Optional[Registries] = None) -> PluginFindings:
    """Check the rules of plugins.

    Args:
        model: what is checked; its files are read once more, as they are for a simulation.
        plugins: have the rules; None: the installed ones.

    A rule that fails, or gives something else than problems, and a plugin that cannot tell its
    rules, do not keep others from being checked.
    """
    plugins = plugins or registries()
    rules = plugins.lint_rules
    unknown = tuple(_not_told(plugin, why) for plugin, why in rules.left_out.items())
    failed: Dict[str, AmctError] = {
        f"the rules of plugin '{plugin}'": why for plugin, why in rules.left_out.items()
    }
    if not rules.names():
        return PluginFindings(unknown, failed=failed)
    try:
        frontend = frontend_for(model.file, plugins)
        graph = frontend.read_deployed(model.file, model.weights.file)
    except AmctError as error:
        return PluginFindings(unknown, str(error), failed)
    soc_version = None if model.target is None else model.target.soc_version
    findings: List[Finding] = []
    for rule in rules:
        try:
            findings += _found(rule, graph, soc_version)
        except AmctError as error:
            _log.debug("lint rule '%s' failed", rule.name, exc_info=error)
            findings.append(_not_checked(rule, error))
            failed[f"rule '{rule.name}' of plugin '{rule.provider}'"] = error
    return PluginFindings((*findings, *unknown), failed=failed)


def _not_told(plugin: str, error: AmctError) -> Finding:
    """Return what is told of a plugin whose hook failed: an error."""
    rule = LintRule(
        f"rules_of_{re.sub(r'[^A-Za-z0-9_.+-]', '_', plugin)}",
        ERROR,
        f"The rules of plugin '{plugin}' are not known, and not checked",
        error.remedy or "Tell the author of the plugin.",
        "Its hook failed.",
        lambda graph, soc_version: (),
    )
    return Finding(rule, LintProblem(error.problem))


def _not_checked(rule: LintRule, error: AmctError) -> Finding:
    """Return what is told of a rule that could not be checked: an error, whatever it looks for."""
    told = attrs.evolve(
        rule,
        severity=ERROR,
        title=f"The rule '{rule.title}' failed, so it is not known whether the model breaks it",
        fix=error.remedy or "Tell the author of the plugin.",
    )
    return Finding(told, LintProblem(error.problem, error.layer, error.field))


def _found(rule: LintRule, graph: Graph, soc_version: Optional[str]) -> Iterator[Finding]:
    usage = Usage(rule)
    with usage.running("check"):
        problems: List[object] = list(rule.check(graph, soc_version))
    for problem in problems:
        if not isinstance(problem, LintProblem):
            raise usage.error(f"check gave {shown(problem)} among its items; expected LintProblem.")
        yield Finding(rule, problem)
