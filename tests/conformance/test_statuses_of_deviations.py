"""What the simulation says of a processor is as well known as its plugin says, and no better."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from amct_core.extensions import Fact, Processor
from amct_core.plugins import registries
from cpu_sim_backend.device import DeviceGraph, as_computed_by
from plugins.cpu_sim_backend.tests.device.toy import blobs, graph

FAMILIES = list(registries().processors)


def facts(processor: Processor) -> dict[str, Fact[Any]]:
    values = {field.name: getattr(processor, field.name) for field in attrs.fields(Processor)}
    return {name: value for name, value in values.items() if isinstance(value, Fact)}


def computed(processor: Processor) -> DeviceGraph:
    return as_computed_by(graph(blobs()), processor, processor.examples[0])


@pytest.mark.parametrize("processor", FAMILIES, ids=lambda each: each.name)
def test_each_deviation_has_the_status_of_its_fact(processor: Processor) -> None:
    for deviation in computed(processor).as_json()["deviations"]:
        fact = facts(processor)[deviation["field"]]
        assert (deviation["status"], deviation["source"]) == (fact.status, fact.source)


@pytest.mark.parametrize("status", ["inferred", "unknown"])
@pytest.mark.parametrize("processor", FAMILIES, ids=lambda each: each.name)
def test_nothing_is_printed_as_verified_that_is_not(processor: Processor, status: str) -> None:
    doubted = {
        name: attrs.evolve(fact, status=status, value=fact.value if status == "inferred" else None)
        for name, fact in facts(processor).items()
    }
    device = computed(attrs.evolve(processor, not_simulated=(), **doubted))
    printed = "\n".join(device.lines())
    assert "verified" not in printed
    assert printed.count(f"({status}") == len(device.deviations)
