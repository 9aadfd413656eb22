"""Every rule, family by family, and how they are run."""

from __future__ import annotations

from typing import Tuple

from amct_core.errors import AmctError
from ascend_backend.lint import (
    blobs,
    dequant_rules,
    detection_rules,
    inputs,
    linking_rules,
    names,
    quant_rules,
    quantized_rules,
    structure,
    target_rules,
)
from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.rule import Finding, Rule

RULES: Tuple[Rule, ...] = (
    *names.RULES,
    *structure.RULES,
    *inputs.RULES,
    *blobs.RULES,
    *linking_rules.RULES,
    *quant_rules.RULES,
    *quantized_rules.RULES,
    *dequant_rules.RULES,
    *target_rules.RULES,
    *detection_rules.RULES,
)
"""In the order of their ids."""


def find(model: DeployModel) -> Tuple[Finding, ...]:
    """Return what is wrong with ``model``, in the order of the rules."""
    return tuple(Finding(rule, problem) for rule in RULES for problem in rule.check(model))


def rule(rule_id: str) -> Rule:
    """Return the rule of an id.

    Raises:
        AmctError: there is none.
    """
    for each in RULES:
        if each.id == rule_id.upper():
            return each
    raise AmctError(
        f"found {rule_id!r}; expected one of {', '.join(each.id for each in RULES)}.",
        field="--explain",
    )
