"""No model that this project writes breaks a rule."""

from __future__ import annotations

from ascend_backend.lint import lint
from tests.conformance.runner import Saved

ROLL_BACK = {"A092", "A095"}
"""Layers that ATC computes in float16: worth knowing, and no fault."""
REFUSED_NAMES = {"A003": "names with slash dash and space"}
"""The names are the user's own, and ATC refuses them: the lint is there to say so."""


def the_model_breaks_no_rule_of_atc(saved: Saved) -> None:
    broken = {each.rule.id for each in lint(*saved.files)} - ROLL_BACK
    name = saved.inserted.case.name
    assert broken == {rule for rule, refused in REFUSED_NAMES.items() if refused == name}
