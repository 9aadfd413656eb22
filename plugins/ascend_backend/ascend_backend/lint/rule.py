"""A lint rule, and what it finds."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, Iterable, Optional, Union

import attrs

from amct_core.extensions import LintProblem, LintRule
from amct_core.extensions.lint_rule import ERROR, WARNING
from ascend_backend.lint.fact_lines import with_facts
from ascend_backend.lint.model import DeployModel

PAGES = Path(__file__).with_name("pages")

Problem = LintProblem
"""One place where a rule is broken."""


@attrs.frozen
class Rule:
    """One reason for which ATC refuses a model or silently changes it.

    Attributes:
        id: ``A`` and three digits; never reused.
        severity: ``error``: ATC refuses the model, or what it makes computes something else than
            the model says; ``warning``: it converts the model, and the user should know what it
            changes.
        title: one line.
        fix: what the user can do, one or two sentences.
        check: finds the places where a model breaks the rule; reads the model only.
    """

    id: str = attrs.field(validator=attrs.validators.matches_re(r"A\d{3}"))
    severity: str = attrs.field(validator=attrs.validators.in_((ERROR, WARNING)))
    title: str
    fix: str
    check: Callable[[DeployModel], Iterable[Problem]] = attrs.field(repr=False)

    def page(self) -> str:
        """Return its page in Markdown: what ATC does, why, what to do, and where it is written.

        Where it names a fact of the table of targets, the page tells what the table says.
        """
        return with_facts((PAGES / f"{self.id}.md").read_text(encoding="utf-8"))


@attrs.frozen
class Finding:
    """A rule that a model breaks, and where."""

    rule: Union[Rule, LintRule]
    problem: Problem

    def as_json(self) -> Dict[str, Optional[str]]:
        """Return the finding as ``amct lint --json`` prints it."""
        return {
            "rule": self.rule.id,
            "severity": self.rule.severity,
            "title": self.rule.title,
            "layer": self.problem.layer,
            "field": self.problem.field,
            "message": self.problem.message,
            "fix": self.rule.fix,
        }


__all__ = ["ERROR", "PAGES", "WARNING", "Finding", "Problem", "Rule"]
