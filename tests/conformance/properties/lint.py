"""No model that this project writes breaks a rule, unless its network itself is refused."""

from __future__ import annotations

from ascend_backend.lint import lint
from tests.conformance.runner import Saved

ROLL_BACK = {"A092", "A095"}
"""Layers that ATC computes in float16: worth knowing, and no fault."""
REFUSED = {
    "names with slash dash and space": {"A003"},
    "a convolution over three axes does not qualify": {"A018"},
    "a convolution of two blobs stays float": {"A019"},
    "normalisation within a channel": {"A075"},
    "inner products that do not qualify": {"A077"},
    "smooth activations and resizing of other caffes": {"A014"},
}
"""Names and layers are the user's own, and ATC refuses them: the lint is there to say so.

Of the float layers of other Caffes ATC knows about half (A014)."""


def the_model_breaks_no_rule_of_atc(saved: Saved) -> None:
    broken = {each.rule.id for each in lint(*saved.files)} - ROLL_BACK
    name = saved.inserted.case.name
    if "WITHIN_CHANNEL" in name:
        name = "normalisation within a channel"
    assert broken == REFUSED.get(name, set())
