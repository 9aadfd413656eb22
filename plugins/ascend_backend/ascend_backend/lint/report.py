"""How findings are shown: a block for each rule to people, JSON to programs."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

from rich.console import Console
from rich.text import Text

from amct_core.extensions import LintRule
from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.rule import ERROR, WARNING, Finding, Rule

_STYLES = {ERROR: "red", WARNING: "yellow"}
_INDENT = 2


def count(findings: Sequence[Finding], severity: str) -> int:
    """Return how many findings are of ``severity``."""
    return sum(finding.rule.severity == severity for finding in findings)


def as_json(
    model: DeployModel, findings: Sequence[Finding], not_checked: Optional[str] = None
) -> Dict[str, Any]:
    """Return the document that ``amct lint --json`` prints.

    Args:
        model: what was checked.
        findings: what is wrong with it.
        not_checked: why the rules of plugins could not be checked, if they could not.
    """
    left_out = {} if not_checked is None else {"rules_of_plugins_not_checked": not_checked}
    return {
        "model": model.file,
        "weights": model.weights.file,
        "soc_version": None if model.target is None else model.target.soc_version,
        "errors": count(findings, ERROR),
        "warnings": count(findings, WARNING),
        "findings": [finding.as_json() for finding in findings],
        **left_out,
    }


def print_report(
    findings: Sequence[Finding], console: Console, not_checked: Optional[str] = None
) -> None:
    """Print a block for each broken rule, errors first, and the totals.

    A block explains the rule once; below stand the places where it is broken, those of the same
    kind together.  ``not_checked`` says why the rules of plugins could not be checked.
    """
    broken = dict.fromkeys(finding.rule for finding in findings)
    for rule in sorted(broken, key=lambda rule: rule.severity != ERROR):
        _print_block(rule, [each for each in findings if each.rule is rule], console)
    if findings:
        console.print("Explanation of a rule: amct lint --explain ID", highlight=False)
    if not_checked is not None:
        _print_indented(
            Text(f"The rules of plugins could not be checked: {not_checked}"), 0, console
        )
    errors, warnings = count(findings, ERROR), count(findings, WARNING)
    console.print(f"{errors} errors, {warnings} warnings", highlight=False)


def _print_block(
    rule: Union[Rule, LintRule], findings: Sequence[Finding], console: Console
) -> None:
    heading = Text.assemble((rule.severity, _STYLES[rule.severity]), f" {rule.id}: {rule.title}")
    _print_indented(heading, 0, console)
    _print_indented(Text(f"Fix: {rule.fix}"), 1, console)
    for (field, message), layers in _places(findings).items():
        several = len(layers) > 1
        who = f"{len(layers)} layers" if several else "".join(layers)
        where = f"{who} ({field})" if who and field else who or field
        _print_indented(Text(f"{where}: {message}" if where else message), 2, console)
        if several:
            _print_indented(Text(", ".join(layers)), 3, console)
    console.print()


def _places(findings: Sequence[Finding]) -> Dict[Tuple[Optional[str], str], List[str]]:
    """Return the names of the layers with the same thing wrong with them, by field and message."""
    places: Dict[Tuple[Optional[str], str], List[str]] = {}
    for finding in findings:
        problem = finding.problem
        layers = places.setdefault((problem.field, problem.message), [])
        if problem.layer is not None:
            layers.append(problem.layer)
    return places


def _print_indented(text: Text, level: int, console: Console) -> None:
    """Print ``text``, all of its lines indented.  A Text has no markup: names may hold brackets."""
    indent = " " * level * _INDENT
    for line in text.wrap(console, max(console.width - len(indent), _INDENT), overflow="fold"):
        line.rstrip()
        console.print(Text.assemble(indent, line))
