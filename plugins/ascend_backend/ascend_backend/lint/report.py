"""How findings are shown: a table for people, JSON for programs."""

from __future__ import annotations

from typing import Any, Dict, Sequence

from rich.console import Console
from rich.table import Table

from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.rule import ERROR, WARNING, Finding

_STYLES = {ERROR: "red", WARNING: "yellow"}


def count(findings: Sequence[Finding], severity: str) -> int:
    """Return how many findings are of ``severity``."""
    return sum(finding.rule.severity == severity for finding in findings)


def as_json(model: DeployModel, findings: Sequence[Finding]) -> Dict[str, Any]:
    """Return the document that ``amct lint --json`` prints."""
    return {
        "model": model.file,
        "weights": model.weights.file,
        "soc_version": None if model.target is None else model.target.soc_version,
        "errors": count(findings, ERROR),
        "warnings": count(findings, WARNING),
        "findings": [finding.as_json() for finding in findings],
    }


def print_report(findings: Sequence[Finding], console: Console) -> None:
    """Print a table of the findings, the fix of each broken rule, and the totals."""
    if findings:
        console.print(_table(findings))
        for rule in dict.fromkeys(finding.rule for finding in findings):
            console.print(f"{rule.id}: {rule.fix}", markup=False, highlight=False)
        console.print("Explanation of a rule: amct lint --explain ID", highlight=False)
    errors, warnings = count(findings, ERROR), count(findings, WARNING)
    console.print(f"{errors} errors, {warnings} warnings", highlight=False)


def _table(findings: Sequence[Finding]) -> Table:
    table = Table()
    for heading in ("rule", "severity", "layer", "field", "found"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        severity = finding.rule.severity
        cells = (
            finding.problem.layer or "",
            finding.problem.field or "",
            f"{finding.rule.title}: {finding.problem.message}",
        )
        style = _STYLES[severity]
        table.add_row(finding.rule.id, f"[{style}]{severity}[/]", *map(_plain, cells))
    return table


def _plain(text: str) -> str:
    """Return ``text`` such that rich finds no markup in it."""
    return text.replace("[", "\\[")
