"""What the simulation says of a processor is as well known as its plugin says, and no better."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from amct_core.extensions import Fact, ProcessorFamily
from amct_core.plugins import registries
from cpu_sim_backend.device import DeviceGraph, as_computed_by
from plugins.cpu_sim_backend.tests.device.toy import blobs, graph

FAMILIES = list(registries().processor_families)


def facts(family: ProcessorFamily) -> dict[str, Fact[Any]]:
    values = {field.name: getattr(family, field.name) for field in attrs.fields(ProcessorFamily)}
    return {name: value for name, value in values.items() if isinstance(value, Fact)}


def computed(family: ProcessorFamily) -> DeviceGraph:
    return as_computed_by(graph(blobs()), family, family.examples[0])


@pytest.mark.parametrize("family", FAMILIES, ids=lambda each: each.name)
def test_each_deviation_has_the_status_of_its_fact(family: ProcessorFamily) -> None:
    for deviation in computed(family).as_json()["deviations"]:
        fact = facts(family)[deviation["field"]]
        assert (deviation["status"], deviation["source"]) == (fact.status, fact.source)


@pytest.mark.parametrize("status", ["inferred", "unknown"])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda each: each.name)
def test_nothing_is_printed_as_verified_that_is_not(family: ProcessorFamily, status: str) -> None:
    doubted = {
        name: attrs.evolve(fact, status=status, value=fact.value if status == "inferred" else None)
        for name, fact in facts(family).items()
    }
    device = computed(attrs.evolve(family, not_simulated=(), **doubted))
    printed = "\n".join(device.lines())
    assert "verified" not in printed
    assert printed.count(f"({status}") == len(device.deviations)
