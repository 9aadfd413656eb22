"""The advice file says what a configuration takes."""

from __future__ import annotations

import attrs

from cpu_sim_backend.analysis.advice import advice
from cpu_sim_backend.analysis.model import Change, Finding, LayerReport, NetworkReport
from plugins.cpu_sim_backend.tests.analysis.cases import GOOD

BOUNDS = (("retrain_data_config.clip_max", 6.0), ("retrain_data_config.clip_min", -6.0))


def layer(name: str, blob: str) -> LayerReport:
    return attrs.evolve(GOOD, name=name, activation=attrs.evolve(GOOD.activation, blob=blob))


def report(*findings: Finding) -> NetworkReport:
    layers = (layer("a", "x"), layer("b", "x"), layer("c", "y"))
    return NetworkReport("p", "x.npz", 1, "", (), layers, findings, ())


def finding(name: str, qat: Change, harmless: bool = False) -> Finding:
    return Finding(name, "clipping", "found", "cost", "cure", harmless, qat=qat)


def told(*findings: Finding) -> list[tuple[str, str, object]]:
    entries = advice(report(*findings))["advice"]
    return [(each["layer"], each["reason"], each["qat"]) for each in entries]


def test_layers_that_read_one_blob_get_the_same_bounds() -> None:
    change = {"set": dict(BOUNDS)}
    assert told(finding("a", Change(values=BOUNDS))) == [
        ("a", "found", change),
        ("b", "it reads the same blob as 'a'", change),
    ]


def test_what_concerns_the_weights_alone_concerns_one_layer() -> None:
    change = Change(values=(("retrain_weight_config.channel_wise", True),))
    assert [name for name, *_ in told(finding("a", change))] == ["a"]


def test_a_layer_with_advice_of_its_own_keeps_that() -> None:
    found = told(finding("a", Change(values=BOUNDS)), finding("b", Change(skip=True)))
    assert found == [("a", "found", {"set": dict(BOUNDS)}), ("b", "found", {"skip": True})]


def test_what_is_harmless_is_no_advice() -> None:
    assert told(finding("a", Change(values=BOUNDS), harmless=True)) == []
