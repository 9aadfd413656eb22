"""All networks of the conformance tests; made once per process."""

from __future__ import annotations

from tests.conformance import graph_cases, layer_cases, loss_cases, state_cases
from tests.conformance.case import Case

NETWORKS: tuple[Case, ...] = (
    *layer_cases.CASES,
    *graph_cases.CASES,
    *loss_cases.CASES,
    *state_cases.CASES,
)


def named(name: str) -> Case:
    """Return the network of this name."""
    (case,) = (case for case in NETWORKS if case.name == name)
    return case
