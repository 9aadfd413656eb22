"""Whether this Caffe's libraries compute a layer as ours do is found out by running the layer."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np
import pytest

from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.network import CaffeNetwork
from amct_caffe.model.to_graph import to_graph
from amct_core.graph import Node

LAYERS: Dict[str, str] = {
    "LRN across channels": 'type: "LRN" lrn_param { local_size: 3 k: 2 }',
    "LRN within a channel": 'type: "LRN" lrn_param { norm_region: WITHIN_CHANNEL }',
    "TanH": 'type: "TanH"',
    "Sigmoid": 'type: "Sigmoid"',
    "Power": 'type: "Power" power_param { power: 0.5 shift: 3 }',
    "Eltwise": 'type: "Eltwise" bottom: "other" eltwise_param { coeff: 0.3 coeff: -1.7 }',
}

pytestmark = pytest.mark.caffe


def node_of(body: str, rules: str = "") -> Node:
    text = f"""
    layer {{ name: "in" type: "Input" top: "data" top: "other"
      input_param {{ shape {{ dim: 2 dim: 4 dim: 3 dim: 3 }} }} }}
    layer {{ name: "one" bottom: "data" top: "out" {body} {rules} }}
    """
    network = CaffeNetwork(documents.from_text(text), {})
    return to_graph(network, "TEST").node("one")


@pytest.fixture
def probe() -> Any:
    """Return the module under test."""
    from amct_caffe.runtime import library_probe

    return library_probe


def test_layers_that_no_library_decides_are_not_dependent() -> None:
    for body in ('type: "ReLU"', 'type: "Power" power_param { scale: 2 }', 'type: "Eltwise"'):
        node = node_of(body)
        assert not node.type.is_library_dependent(node), body


@pytest.mark.parametrize("name", LAYERS)
def test_the_answer_is_that_of_a_comparison_on_other_numbers(probe: Any, name: str) -> None:
    node = node_of(LAYERS[name], "include { phase: TEST }")
    assert node.type.is_library_dependent(node)
    random = np.random.default_rng(7)
    inputs: List[Any] = [random.normal(0, 2, probe._SHAPE).astype(np.float32) for _ in node.bottoms]
    ours = node.type.run(node, inputs)[0]  # type: ignore[misc]
    theirs = probe._in_caffe(probe._prototxt(node), node, inputs)
    assert probe.LibraryProbe().follows(node) == bool(probe._are_equal(ours, theirs))


@pytest.mark.parametrize("name", LAYERS)
def test_one_bit_of_one_value_is_enough_to_say_no(
    probe: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = node_of(LAYERS[name])
    assert node.type.run is not None

    def almost(text: str, node: Node, inputs: Any) -> Any:
        assert node.type.run is not None
        found = np.array(node.type.run(node, inputs)[0])
        found.flat[1234] = np.nextafter(found.flat[1234], np.float32(np.inf))
        return found

    monkeypatch.setattr(probe, "_in_caffe", lambda text, node, x: node.type.run(node, x)[0])
    assert probe.LibraryProbe().follows(node)
    monkeypatch.setattr(probe, "_in_caffe", almost)
    assert not probe.LibraryProbe().follows(node)


def test_equal_layers_are_run_once(probe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []

    def counted(text: str, node: Node, inputs: Any) -> Any:
        assert node.type.run is not None
        runs.append(text)
        return node.type.run(node, inputs)[0]

    monkeypatch.setattr(probe, "_in_caffe", counted)
    found = probe.LibraryProbe()
    for body in (LAYERS["TanH"], LAYERS["TanH"], LAYERS["LRN across channels"]):
        assert found.follows(node_of(body))
    assert len(runs) == 2
