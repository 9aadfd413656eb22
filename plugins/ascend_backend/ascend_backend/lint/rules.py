"""Every rule, family by family, and how they are run."""

from __future__ import annotations

from typing import Collection, Tuple

from amct_core.errors import AmctError
from ascend_backend.lint import (
    axis_rules,
    blobs,
    convolution_rules,
    dequant_rules,
    detection_rules,
    eltwise_rules,
    fusion_rules,
    inputs,
    linking_rules,
    merging_rules,
    names,
    quant_rules,
    quantized_rules,
    refusal_rules,
    rounding_rules,
    saved_set_rules,
    shape_rules,
    structure,
    target_rules,
    training_rules,
    upsample_rules,
)
from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.rule import Finding, Rule

RULES: Tuple[Rule, ...] = (
    *names.RULES,
    *structure.RULES,
    *convolution_rules.RULES,
    *inputs.RULES,
    *shape_rules.RULES,
    *blobs.RULES,
    *linking_rules.RULES,
    *quant_rules.RULES,
    *quantized_rules.RULES,
    *refusal_rules.RULES,
    *axis_rules.RULES,
    *merging_rules.RULES,
    *dequant_rules.RULES,
    *upsample_rules.RULES,
    *rounding_rules.RULES,
    *target_rules.RULES,
    *detection_rules.RULES,
    *eltwise_rules.RULES,
    *fusion_rules.RULES,
    *training_rules.RULES,
    *saved_set_rules.RULES,
)
"""In the order of their ids."""

_NO_PLUGIN = "A014"


def find(model: DeployModel, custom_ops: Collection[str] = ()) -> Tuple[Finding, ...]:
    """Return what is wrong with ``model``, in the order of the rules.

    Args:
        model: what to check.
        custom_ops: layer types for which custom operators are installed: that ATC itself has no
            plugin for them is no fault then.
    """
    own = {layer.name for layer in model.of_type(*custom_ops)}
    found = (Finding(rule, problem) for rule in RULES for problem in rule.check(model))
    return tuple(
        each for each in found if each.rule.id != _NO_PLUGIN or each.problem.layer not in own
    )


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
