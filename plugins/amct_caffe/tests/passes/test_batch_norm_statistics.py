"""FixBatchNormStatistics, rule by rule."""

from __future__ import annotations

import pytest

from amct_caffe.passes.batch_norm_statistics import FixBatchNormStatistics
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
    text_of,
)

STILL = "param { lr_mult: 0 decay_mult: 0 } "


def fixed(text: str) -> str:
    state = network(INPUT + text, {"a": CONV, "bn": BATCH_NORM})
    return text_of(FixBatchNormStatistics().run(state))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", STILL * 3),
        ("param { lr_mult: 1 }", STILL * 3),
        ("param { lr_mult: 0 } " * 3, STILL * 3),
        (
            'param { name: "mean" } param { } param { decay_mult: 2 }',
            'param { name: "mean" lr_mult: 0 decay_mult: 0 }' + STILL * 2,
        ),
    ],
)
def test_1_the_solver_leaves_the_statistics_alone_whatever_was_said(
    given: str, expected: str
) -> None:
    before = conv("a", "data") + batch_norm("bn", "a", extra=given)
    after = conv("a", "data") + batch_norm("bn", "a", extra=expected)
    assert fixed(before) == normal(INPUT + after)


def test_1_each_copy_of_a_phase_is_told() -> None:
    copies = [batch_norm("bn", "data", "bn", rule) for rule in (TRAIN, TEST)]
    expected = [batch_norm("bn", "data", "bn", rule + STILL * 3) for rule in (TRAIN, TEST)]
    assert fixed("".join(copies)) == normal(INPUT + "".join(expected))


def test_2_a_layer_with_more_specs_stays_as_it_is() -> None:
    text = batch_norm("bn", "data", extra="param { lr_mult: 1 } " * 5)
    assert fixed(text) == normal(INPUT + text)
