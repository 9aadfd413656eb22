"""The passes on networks with rules of stages and levels: what they touch, and their rules."""

from __future__ import annotations

from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.network import CaffeNetwork
from amct_caffe.passes.fold_batch_norm import FoldBatchNorm
from amct_caffe.passes.insert_activation_qat import InsertActivationQat
from amct_caffe.passes.insert_shift_search import InsertShiftSearch
from amct_caffe.passes.insert_weight_qat import InsertWeightQat
from amct_caffe.passes.inserted import read_inserted
from amct_caffe.passes.keep_test_net import KeepTestNet
from amct_core.graph import run_passes
from amct_core.network_state import NetworkState, NetworkStates
from amct_core.plugins import registries
from amct_core.textproto import Message, format_message
from plugins.amct_caffe.tests.passes.networks import (
    BATCH_NORM,
    CONV,
    INPUT,
    TEST,
    TRAIN,
    batch_norm,
    conv,
    network,
    normal,
    plan_of,
    relu,
    text_of,
)

OURS, OTHERS = 'include { stage: "ours" }', 'include { stage: "others" }'
IN_OURS = NetworkStates(NetworkState(stages=["ours"]), NetworkState(2, ["ours"]))


def in_states(text: str, states: NetworkStates = IN_OURS) -> CaffeNetwork:
    """Return a network with weights for ``a`` and ``bn``, in states."""
    state = network(INPUT + text, {"a": CONV, "bn": BATCH_NORM})
    state.document.states = states
    return state


def inserted(state: CaffeNetwork) -> CaffeNetwork:
    """Return the network with all layers that insertion adds."""
    plan = plan_of(state)
    weights = registries().weight_algorithms
    passes = [InsertActivationQat(plan), InsertWeightQat(plan, weights), InsertShiftSearch(plan)]
    return run_passes(state, passes)


def rules(state: CaffeNetwork, layer: str) -> str:
    """Return the rules of the only layer of this name."""
    (found,) = (each for each in state.document.layers if each.name == layer)
    return format_message(Message([e for e in found.message if e.name in ("include", "exclude")]))


class TestInsertion:
    def test_inserted_layers_have_no_rules_where_the_network_has_none_of_states(self) -> None:
        after = inserted(in_states(conv("a", "data", extra=TRAIN) + conv("a", "data", extra=TEST)))
        names = ("a_activation_qat", "a_weight_qat", "a_shift_search")
        assert [rules(after, name) for name in names] == ["", "", ""]

    def test_they_stand_where_their_layer_does(self) -> None:
        after = inserted(in_states(conv("a", "data", extra=OURS)))
        assert rules(after, "a_activation_qat") == normal(OURS)
        assert rules(after, "a_weight_qat") == normal(OURS)

    def test_they_stand_where_one_of_the_copies_does(self) -> None:
        copies = 'include { phase: TRAIN stage: "ours" }', "include { phase: TEST min_level: 2 }"
        after = inserted(in_states("".join(conv("a", "data", extra=rule) for rule in copies)))
        assert rules(after, "a_activation_qat") == normal(" ".join(copies))
        assert rules(after, "a_weight_qat") == normal(" ".join(copies))

    def test_n_is_searched_in_tests_of_the_state_alone(self) -> None:
        other = 'layer { name: "r" type: "ReLU" bottom: "data" top: "r" exclude { min_level: 3 } }'
        after = inserted(in_states(conv("a", "data", extra=OURS) + relu("x", "a", OTHERS) + other))
        assert rules(after, "a_shift_search") == normal(
            "include { phase: TRAIN } include { phase: TEST min_level: 2 max_level: 2 "
            'stage: "ours" not_stage: "others" }'
        )

    def test_layers_of_other_states_are_left_alone(self) -> None:
        other = conv("a", "data", extra=OTHERS)
        after = inserted(in_states(other + conv("a", "data", extra=OURS)))
        names = [layer.name for layer in after.document.layers]
        assert names[1:5] == ["a", "a_activation_qat", "a_weight_qat", "a"]
        assert format_message(after.document.layers[1].message) == layer_text(other)

    def test_the_first_layer_keeps_the_states(self) -> None:
        after = inserted(in_states(conv("a", "data") + conv("b", "a", extra=OTHERS)))
        assert read_inserted(after.document).states == IN_OURS
        without = inserted(in_states(conv("a", "data"), NetworkStates()))
        assert "_state" not in text_of(without)
        assert read_inserted(without.document).states == NetworkStates()


def layer_text(text: str) -> str:
    """Return what is in the braces of the only layer of ``text``."""
    return format_message(documents.from_text(text).layers[0].message)


class TestFolding:
    def test_a_batch_norm_of_another_state_stays(self) -> None:
        text = (
            conv("a", "data")
            + batch_norm("bn", "a", extra=OURS)
            + batch_norm("bn", "a", "other", extra=OTHERS)
        )
        after = FoldBatchNorm(("a",)).run(in_states(text))
        assert [layer.tops for layer in after.document.layers if layer.name == "bn"] == [["other"]]
        assert "bn" in after.weights


class TestKeepTestNet:
    def test_only_the_layers_of_the_test_net_stay(self) -> None:
        text = (
            conv("a", "data", extra=OURS)
            + conv("a", "data", extra=OTHERS)
            + relu("train", "a", TRAIN)
            + relu("test", "a", TEST)
            + relu("deep", "a", "exclude { max_level: 1 }")
        )
        state = in_states(text)
        state.document.fields.set("force_backward", True)
        expected = conv("a", "data") + relu("test", "a", TEST) + relu("deep", "a")
        after = text_of(KeepTestNet().run(state))
        assert after == normal("force_backward: true " + INPUT + expected)
