"""FreezeBatchNorm, rule by rule."""

from __future__ import annotations

import logging

import pytest

from amct_caffe.passes.freeze_batch_norm import FreezeBatchNorm
from plugins.amct_caffe.tests.passes.networks import (
    INPUT,
    TEST,
    TRAIN,
    UNKNOWN,
    batch_norm,
    network,
    normal,
    relu,
    scale,
    text_of,
)


def frozen(text: str) -> str:
    return text_of(FreezeBatchNorm("of the test").run(network(text, {})))


KEY = "use_global_stats: true"
GLOBAL = f"batch_norm_param {{ {KEY} }}"


def test_1_batch_norm_gets_use_global_stats() -> None:
    before = INPUT + batch_norm("bn", "data")
    assert frozen(before) == normal(INPUT + batch_norm("bn", "data", extra=GLOBAL))


def test_1_its_other_fields_stay_in_their_order() -> None:
    before = batch_norm("bn", "data", extra="batch_norm_param { eps: 0.5 odd: 1 }")
    after = batch_norm("bn", "data", extra=f"batch_norm_param {{ eps: 0.5 odd: 1 {KEY} }}")
    assert frozen(INPUT + before) == normal(INPUT + after)


def test_1_a_layer_that_says_false_says_true() -> None:
    before = batch_norm("bn", "data", extra="batch_norm_param { use_global_stats: false eps: 1 }")
    after = batch_norm("bn", "data", extra="batch_norm_param { use_global_stats: true eps: 1 }")
    assert frozen(INPUT + before) == normal(INPUT + after)


def test_1_copies_of_a_layer_for_one_phase_each_are_both_frozen() -> None:
    name = "res2/bn-1 a"
    before = batch_norm(name, "data", "n", TRAIN) + batch_norm(name, "data", "n", TEST)
    after = batch_norm(name, "data", "n", TRAIN + GLOBAL) + batch_norm(
        name, "data", "n", TEST + GLOBAL
    )
    assert frozen(INPUT + before) == normal(INPUT + after)


def test_all_other_layers_stay_untouched() -> None:
    text = INPUT + UNKNOWN + scale("s", "data") + relu("r", "s")
    assert frozen(text) == normal(text)


def test_2_the_log_says_how_many_and_why(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        frozen(INPUT + batch_norm("bn", "data"))
    (line,) = caplog.messages
    assert "1 layers" in line and "because of the test" in line


def test_2_one_that_is_frozen_already_is_left_alone_without_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    text = INPUT + batch_norm("bn", "data", extra=GLOBAL)
    assert frozen(text) == normal(text)
    assert caplog.messages == []
