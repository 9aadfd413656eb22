"""FoldBatchNorm, rule by rule."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from amct_caffe.model.network import CaffeNetwork
from amct_caffe.passes.fold_batch_norm import FoldBatchNorm
from plugins.amct_caffe.tests.passes.networks import (
    BATCH_NORM,
    CONV,
    INPUT,
    SCALE,
    TEST,
    TRAIN,
    UNKNOWN,
    batch_norm,
    conv,
    network,
    normal,
    relu,
    scale,
    text_of,
)

NAME = "res2/branch-1 a"
"""The layer that is folded into: names may hold all of these."""

SHAPES = {
    NAME: CONV,
    "other": CONV,
    "bn": BATCH_NORM,
    "scale": SCALE,
    "other_bn": BATCH_NORM,
}


def folded(text: str) -> CaffeNetwork:
    return FoldBatchNorm((NAME,)).run(network(text, SHAPES))


def folded_conv(top: str, extra: str = "") -> str:
    return (
        f'layer {{ name: "{NAME}" type: "Convolution" bottom: "data" top: "{top}" {extra} '
        "convolution_param { num_output: 2 kernel_size: 1 bias_term: true } }\n"
    )


def test_1_2_and_3_the_layer_takes_over_what_followed_it() -> None:
    chain = batch_norm("bn", NAME) + scale("scale", "bn")
    after = folded(INPUT + conv(NAME, "data") + chain + relu("relu", "scale"))
    assert text_of(after) == normal(INPUT + folded_conv("scale") + relu("relu", "scale"))
    assert "bn" not in after.weights and "scale" not in after.weights


def test_1_and_2_in_place_the_blob_keeps_its_name() -> None:
    chain = batch_norm("bn", "x", "x") + scale("scale", "x", "x") + relu("relu", "x")
    after = folded(INPUT + conv(NAME, "data", "x") + chain + conv("other", "x"))
    expected = INPUT + folded_conv("x") + relu("relu", "x") + conv("other", "x")
    assert text_of(after) == normal(expected)


@pytest.mark.parametrize(
    "chain", [batch_norm("bn", NAME, "n"), scale("scale", NAME, "n")], ids=["BatchNorm", "Scale"]
)
def test_1_one_of_the_two_alone_is_folded_as_well(chain: str) -> None:
    after = folded(INPUT + conv(NAME, "data") + chain + relu("relu", "n"))
    assert text_of(after) == normal(INPUT + folded_conv("n") + relu("relu", "n"))


def test_1_layers_that_were_not_named_keep_their_batch_norm() -> None:
    text = INPUT + conv("other", "data") + batch_norm("other_bn", "other") + conv(NAME, "data")
    assert text_of(folded(text)) == normal(text)


def test_1_the_numbers_are_those_of_float64() -> None:
    text = INPUT + conv(NAME, "data") + batch_norm("bn", NAME) + scale("scale", "bn")
    before = network(text, SHAPES).weights
    after = folded(text)
    weights, bias = (blob.astype(np.float64) for blob in before[NAME])
    mean, variance, factor = (blob.astype(np.float64) for blob in before["bn"])
    gamma, beta = (blob.astype(np.float64) for blob in before["scale"])
    multiplier = gamma / np.sqrt(variance / factor + 1e-5)
    folded_weights, folded_bias = after.weights[NAME]
    expected = weights * multiplier[:, None, None, None]
    np.testing.assert_allclose(folded_weights, expected, rtol=1e-6)
    expected = (bias - mean / factor) * multiplier + beta
    np.testing.assert_allclose(folded_bias, expected, rtol=1e-5)


def test_1_copies_of_batch_norm_for_one_phase_each_are_folded() -> None:
    chain = batch_norm("bn", NAME, "n", TRAIN) + batch_norm("bn", NAME, "n", TEST)
    after = folded(INPUT + conv(NAME, "data") + chain + relu("relu", "n"))
    assert text_of(after) == normal(INPUT + folded_conv("n") + relu("relu", "n"))


def test_3_a_layer_without_a_bias_gets_one_and_its_weights_keep_their_multipliers() -> None:
    spec = "param { lr_mult: 3 decay_mult: 2 }"
    plain = folded_conv(NAME, spec).replace("bias_term: true", "bias_term: false")
    state = network(INPUT + plain + batch_norm("bn", NAME), {**SHAPES, NAME: CONV[:1]})
    after = FoldBatchNorm((NAME,)).run(state)
    assert text_of(after) == normal(INPUT + folded_conv("bn", spec))
    assert [blob.shape for blob in after.weights[NAME]] == [(2, 2, 1, 1), (2,)]


@pytest.mark.parametrize(
    "shared", ['param { name: "w" }', 'param { } param { name: "b" }'], ids=["weights", "bias"]
)
def test_4_and_6_parameters_that_another_layer_shares_are_left_alone(
    shared: str, caplog: pytest.LogCaptureFixture
) -> None:
    text = (
        INPUT
        + conv(NAME, "data", extra=shared)
        + batch_norm("bn", NAME)
        + conv("other", "bn", extra=shared)
    )
    with caplog.at_level(logging.INFO):
        after = folded(text)
    assert text_of(after) == normal(text)
    np.testing.assert_array_equal(after.weights[NAME][0], network(text, SHAPES).weights[NAME][0])
    (line,) = caplog.messages
    assert f"'{NAME}' is not folded: it shares" in line and "'other'" in line


def test_4_a_name_that_one_layer_alone_uses_is_no_obstacle() -> None:
    named = 'param { name: "w" }'
    after = folded(INPUT + conv(NAME, "data", extra=named) + batch_norm("bn", NAME))
    assert text_of(after) == normal(INPUT + folded_conv("bn", named))


@pytest.mark.parametrize(
    "chain",
    [
        batch_norm("bn", NAME, extra=TRAIN),
        batch_norm("bn", NAME, extra="exclude { phase: TRAIN }"),
        batch_norm("bn", NAME, "in_train", TRAIN) + batch_norm("bn", NAME, "in_test", TEST),
    ],
    ids=["in TRAIN alone", "in TEST alone", "of another top"],
)
def test_5_and_6_nothing_is_folded_where_training_and_testing_differ(
    chain: str, caplog: pytest.LogCaptureFixture
) -> None:
    text = INPUT + conv(NAME, "data") + chain
    with caplog.at_level(logging.INFO):
        assert text_of(folded(text)) == normal(text)
    assert caplog.messages == [f"layer '{NAME}' is not folded: TRAIN and TEST differ"]


def test_6_who_else_reads_the_output_keeps_it_from_being_folded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = f'layer {{ name: "sum" type: "Eltwise" bottom: "{NAME}" bottom: "bn" top: "sum" }}\n'
    text = INPUT + conv(NAME, "data") + batch_norm("bn", NAME) + other
    with caplog.at_level(logging.INFO):
        assert text_of(folded(text)) == normal(text)
    assert f"'{NAME}' is not folded" in caplog.text and "'sum'" in caplog.text


def test_unknown_layers_and_fields_stay_as_they_are() -> None:
    odd = 'odd_field: "x"'
    after = folded(INPUT + UNKNOWN + conv(NAME, "data", extra=odd) + batch_norm("bn", NAME))
    assert text_of(after) == normal(INPUT + UNKNOWN + folded_conv("bn", odd))


def test_the_network_that_came_in_stays_as_it_was() -> None:
    text = INPUT + conv(NAME, "data") + batch_norm("bn", NAME)
    state = network(text, SHAPES)
    FoldBatchNorm((NAME,)).run(state)
    assert text_of(state) == normal(text)
    assert sorted(state.weights) == sorted(SHAPES)
