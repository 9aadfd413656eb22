"""Passes of plugins run beside our own, and their mistakes are told as theirs."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from amct_caffe.model.network import CaffeNetwork
from amct_caffe.passes.of_plugins import plugin_passes
from amct_core.errors import ModelError, PluginError
from amct_core.extensions import NetworkPass
from amct_core.extensions.network_pass import AFTER_TRAINING, BEFORE_INSERTION
from amct_core.graph import Pass, run_passes
from amct_core.registry import Registry
from plugins.amct_caffe.tests.passes.networks import network

TEXT = 'layer { name: "a" type: "ReLU" bottom: "x" top: "y" }'


class Renames(Pass[CaffeNetwork]):
    """1. The name of the file tells which passes ran."""

    def __init__(self, word: str) -> None:
        self.word = word

    def run(self, state: CaffeNetwork) -> CaffeNetwork:
        state.model_file = f"{state.model_file}{self.word}"  # of a copy
        return state


def run(*declared: NetworkPass, quantized: tuple[str, ...] = ("a",)) -> CaffeNetwork:
    registry: Registry[NetworkPass] = Registry("pass")
    for each in declared:
        registry.add(each, "mine")
    plugins: Any = SimpleNamespace(passes=registry)
    return run_passes(network(TEXT, {}), plugin_passes(BEFORE_INSERTION, quantized, plugins))


def declared(made: Any, name: str = "p", **other: Any) -> NetworkPass:
    parts = {"frontend": "caffe", "place": BEFORE_INSERTION, **other}
    return NetworkPass(name, create=lambda: made, **parts)


def test_they_run_in_the_order_of_their_names_where_they_belong(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = network(TEXT, {}).model_file
    with caplog.at_level(logging.INFO):
        found = run(
            declared(Renames("2"), "two"),
            declared(Renames("1"), "one"),
            declared(Renames("3"), "three", place=AFTER_TRAINING),
            declared(Renames("4"), "four", frontend="other"),
        )
    assert found.model_file == f"{before}12"
    assert [record.getMessage() for record in caplog.records] == [
        "pass 'one' of plugin 'mine' has run before insertion",
        "pass 'two' of plugin 'mine' has run before insertion",
    ]


def test_what_it_does_to_its_state_is_done_to_a_copy() -> None:
    state = network(TEXT, {})
    before = state.model_file, state.document.format()
    registry: Registry[NetworkPass] = Registry("pass")
    registry.add(declared(Renames("x")), "mine")
    plugins: Any = SimpleNamespace(passes=registry)
    run_passes(state, plugin_passes(BEFORE_INSERTION, (), plugins))
    assert (state.model_file, state.document.format()) == before


class Wrong(Pass[CaffeNetwork]):
    """1. One of its methods does what it is told."""

    def __init__(self, **methods: Any) -> None:
        for name, method in methods.items():
            setattr(self, name, method)

    def run(self, state: CaffeNetwork) -> CaffeNetwork:
        return state


def fails(state: CaffeNetwork) -> None:
    raise AssertionError("no")


def empties(state: CaffeNetwork) -> CaffeNetwork:
    state.document.layers = []
    return state


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (3, "create returned 3; expected a Pass."),
        (Wrong(requires=fails), "requires failed with AssertionError: no."),
        (Wrong(run=fails), "run failed with AssertionError: no."),
        (Wrong(ensures=fails), "ensures failed with AssertionError: no."),
        (Wrong(run=lambda state: None), "run returned None; expected a CaffeNetwork."),
        (Wrong(run=empties), "run took the layers 'a' away; expected every layer"),
    ],
)
def test_a_pass_that_fails_is_named_with_its_plugin(made: Any, said: str) -> None:
    with pytest.raises(PluginError) as caught:
        run(declared(made))
    assert str(caught.value).startswith(f"plugin 'mine', pass 'p': {said}")


CHAIN = (
    'layer { name: "source" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 } } } '
    'layer { name: "pool" type: "ReLU" bottom: "x" top: "p" } '
    'layer { name: "a" type: "ReLU" bottom: "p" top: "y" include { phase: PHASE } }'
)


def without_pool(state: CaffeNetwork) -> CaffeNetwork:
    state.document.layers = [each for each in state.document.layers if each.name != "pool"]
    return state


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_a_pass_that_takes_away_what_a_layer_reads_is_named(phase: str) -> None:
    plugins: Any = SimpleNamespace(passes=Registry("pass"))
    plugins.passes.add(declared(Wrong(run=without_pool), place=AFTER_TRAINING), "mine")
    state = network(CHAIN.replace("PHASE", phase), {})
    with pytest.raises(PluginError) as caught:
        run_passes(state, plugin_passes(AFTER_TRAINING, ("a",), plugins))
    assert str(caught.value).startswith(
        "plugin 'mine', pass 'p': after run, layer 'a' reads 'p', which no layer before it makes "
        f"in the {phase} net; expected a layer that makes it, or nobody who reads it."
    )


def test_what_no_layer_made_before_is_not_its_fault() -> None:
    assert run(declared(Renames("1"))).document.layers[0].bottoms == ["x"]


def test_a_network_that_it_refuses_is_refused_with_its_name() -> None:
    def refuse(state: CaffeNetwork) -> None:
        raise ModelError("it has no slopes.", file="net")

    with pytest.raises(ModelError, match=r"net: plugin 'mine', pass 'p': it has no slopes\."):
        run(declared(Wrong(requires=refuse)))


def test_a_place_must_be_known() -> None:
    with pytest.raises(PluginError, match="place is 'now'; expected 'before insertion' or"):
        declared(Renames("x"), place="now")
