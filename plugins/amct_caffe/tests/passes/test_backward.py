"""Which layers without a backward pass Caffe would ask for a gradient."""

from __future__ import annotations

import logging
from typing import List

import pytest

from amct_caffe.model.formats.prototxt.document import from_text
from amct_caffe.passes.backward import (
    Obstacle,
    find_learned_targets,
    find_obstacles,
    warn_of_obstacles,
)
from plugins.amct_caffe.tests.passes.networks import INPUT, conv

LOSS = 'layer { name: "loss" type: "EuclideanLoss" bottom: "b" bottom: "data" top: "loss" }'


def step(bottom: str, extra: str = "") -> str:
    """Return a layer without a backward pass."""
    return f'layer {{ name: "step" type: "Threshold" bottom: "{bottom}" top: "step" {extra} }}\n'


def obstacles(text: str) -> List[Obstacle]:
    return list(find_obstacles(from_text(INPUT + text).layers, frozenset({"Threshold"})))


def test_a_layer_between_what_learns_and_the_loss_is_found() -> None:
    found = obstacles(conv("a", "data") + step("a") + conv("b", "step") + LOSS)
    assert found == [Obstacle("step", "Threshold", ("a",), ("b", "loss"), ("b",))]


def test_nothing_learns_before_it() -> None:
    (found,) = obstacles(step("data") + conv("b", "step") + LOSS)
    assert found.learns == ()
    still = conv("a", "data", extra="param { lr_mult: 0 } param { lr_mult: 0 }")
    (found,) = obstacles(still + step("a") + conv("b", "step") + LOSS)
    assert found.learns == ()


def test_a_bias_alone_learns_too() -> None:
    still = conv("a", "data", extra="param { lr_mult: 0 }")
    (found,) = obstacles(still + step("a") + conv("b", "step") + LOSS)
    assert found.learns == ("a",)


def test_what_learns_far_before_it_counts() -> None:
    relu = 'layer { name: "relu" type: "ReLU" bottom: "a" top: "a" }'
    (found,) = obstacles(conv("a", "data") + relu + step("a") + conv("b", "step") + LOSS)
    assert found.learns == ("a",)


def test_propagate_down_of_what_reads_it_keeps_the_gradient_out() -> None:
    cut = 'layer { name: "b" type: "ReLU" bottom: "step" top: "b" propagate_down: false }'
    assert obstacles(conv("a", "data") + step("a") + cut + LOSS) == []


@pytest.mark.parametrize("cut", ["step", "relu"])
def test_propagate_down_of_its_own_or_before_it_does_not(cut: str) -> None:
    relu = 'layer { name: "relu" type: "ReLU" bottom: "a" top: "relu" propagate_down: false }'
    own = "propagate_down: false" if cut == "step" else ""
    (found,) = obstacles(conv("a", "data") + relu + step("relu", own) + conv("b", "step") + LOSS)
    assert found.learns == ("a",)
    assert found.remedy == "set propagate_down: false in what reads 'step' ('b')"


def test_a_layer_on_which_no_loss_depends_is_none() -> None:
    assert obstacles(conv("a", "data") + step("a") + conv("b", "a") + LOSS) == []


def test_a_layer_with_weights_is_a_loss_for_its_loss_weight() -> None:
    last = conv("b", "step").replace("convolution_param", "loss_weight: 1 convolution_param")
    (found,) = obstacles(conv("a", "data") + step("a") + last)
    assert found.behind == ("b",)


def test_a_loss_of_weight_zero_is_none() -> None:
    nothing = LOSS.replace('top: "loss"', 'top: "loss" loss_weight: 0')
    assert obstacles(conv("a", "data") + step("a") + conv("b", "step") + nothing) == []


def targets(bottoms: str, kind: str = "SigmoidCrossEntropyLoss", extra: str = "") -> List[str]:
    """Return the bottoms without a gradient of a loss behind layers 'a' and 'b'."""
    named = " ".join(f'bottom: "{name}"' for name in bottoms.split())
    loss = f'layer {{ name: "loss" type: "{kind}" {named} top: "loss" {extra} }}'
    layers = from_text(INPUT + conv("a", "data") + conv("b", "data") + loss).layers
    return [each.layer.bottoms[each.place] for each in find_learned_targets(layers)]


def test_a_target_that_is_learned_is_found() -> None:
    assert targets("data a") == ["a"]
    assert targets("b a") == ["a"]
    assert targets("a data") == []


def test_a_target_that_is_meant_to_be_one_is_not() -> None:
    assert targets("b a", extra="propagate_down: true propagate_down: false") == []
    assert targets("b a", extra="loss_weight: 0") == []


def test_a_loss_with_a_gradient_for_both_bottoms_has_no_target() -> None:
    assert targets("b a", "EuclideanLoss") == []


def test_infogain_may_be_a_third_bottom() -> None:
    assert targets("b data a", "InfogainLoss") == ["a"]
    assert targets("b data", "InfogainLoss") == []


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (conv("a", "data"), "'a' before it learns, so Caffe would abort in the first backward"),
        ("", "no gradient reaches what stands before it"),
    ],
)
def test_before_a_quantized_layer_it_is_warned_of(
    caplog: pytest.LogCaptureFixture, before: str, words: str
) -> None:
    layers = from_text(
        INPUT + before + step("a" if before else "data") + conv("b", "step") + LOSS
    ).layers
    with caplog.at_level(logging.WARNING):
        warn_of_obstacles(layers, ["b"])
    (message,) = caplog.messages
    assert message.startswith("layer 'step' (Threshold) has no backward pass in Caffe")
    assert "before the quantized layer 'b'" in message
    assert words in message
    caplog.clear()
    warn_of_obstacles(layers, ["a"])
    assert caplog.messages == []
