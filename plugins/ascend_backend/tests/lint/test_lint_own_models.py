"""No model that this project writes breaks a rule, unless its network itself is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ascend_backend.lint import lint
from tests.conformance.case import Case
from tests.conformance.graph_cases import CASES
from tests.conformance.layer_cases import layer_cases
from tests.conformance.runner import insert, pretend_training

ROLL_BACK = {"A092", "A095"}
"""Layers that ATC computes in float16: worth knowing, and no fault."""
REFUSED = {
    "names with slash dash and space": {"A003"},
    "a convolution over three axes does not qualify": {"A018"},
    "normalisation within a channel": {"A075"},
    "inner products that do not qualify": {"A077"},
}
"""Names and layers are the user's own, and ATC refuses them: the lint is there to say so."""


@pytest.mark.parametrize("case", [*layer_cases(), *CASES], ids=str)
def test_a_model_of_our_own_breaks_no_rule(case: Case, tmp_path: Path) -> None:
    inserted = insert(case, tmp_path)
    pretend_training(tmp_path, searches=inserted.searches)
    prefix = inserted.save()
    findings = lint(f"{prefix}_deploy_model.prototxt", f"{prefix}_deploy_weights.caffemodel")
    broken = {each.rule.id for each in findings} - ROLL_BACK
    assert broken == REFUSED.get(case.name, set())
