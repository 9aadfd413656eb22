"""FreezeBatchNorm and FoldBatchNorm, rule by rule."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from amct_caffe.passes.fold_batch_norm import FoldBatchNorm
from amct_caffe.passes.freeze_batch_norm import FreezeBatchNorm
from plugins.amct_caffe.tests.passes.networks import CONV, INPUT, conv, network, normal, text_of

SHAPES = {"a": CONV, "bn": [(2,), (2,), (1,)], "scale": [(2,), (2,)]}
SCALE = (
    'layer { name: "scale" type: "Scale" bottom: "n" top: "s" scale_param { bias_term: true } }\n'
)
RELU = 'layer { name: "relu" type: "ReLU" bottom: "s" top: "s" }\n'


def batch_norm(parameters: str = "", bottom: str = "a") -> str:
    return f'layer {{ name: "bn" type: "BatchNorm" bottom: "{bottom}" top: "n" {parameters} }}\n'


class TestFreeze:
    def test_1_batch_norm_gets_use_global_stats_and_keeps_its_other_fields(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        state = network(INPUT + batch_norm("batch_norm_param { eps: 0.5 }", "data"), {})
        with caplog.at_level(logging.WARNING):
            after = FreezeBatchNorm("of the test").run(state)
        frozen = batch_norm("batch_norm_param { eps: 0.5 use_global_stats: true }", "data")
        assert text_of(after) == normal(INPUT + frozen)
        (line,) = caplog.messages
        assert "1 layers" in line and "because of the test" in line

    def test_1_one_that_is_frozen_already_is_left_alone_without_a_word(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        text = INPUT + batch_norm("batch_norm_param { use_global_stats: true }", "data")
        assert text_of(FreezeBatchNorm().run(network(text, {}))) == normal(text)
        assert caplog.messages == []


class TestFold:
    def fold(self, text: str, shapes: object = SHAPES) -> tuple[str, object]:
        state = network(text, shapes)  # type: ignore[arg-type]
        after = FoldBatchNorm(("a",)).run(state)
        return text_of(after), after

    def test_1_2_and_3_the_layer_takes_over_what_followed_it(self) -> None:
        text, after = self.fold(INPUT + conv("a", "data") + batch_norm() + SCALE + RELU)
        folded = (
            'layer { name: "a" type: "Convolution" bottom: "data" top: "s" '
            "convolution_param { num_output: 2 kernel_size: 1 bias_term: true } }\n"
        )
        assert text == normal(INPUT + folded + RELU)
        assert list(after.weights) == ["a"]  # type: ignore[attr-defined]

    def test_1_the_numbers_are_those_of_float64(self) -> None:
        state = network(INPUT + conv("a", "data") + batch_norm() + SCALE, SHAPES)
        after = FoldBatchNorm(("a",)).run(state)
        weights, bias = (blob.astype(np.float64) for blob in state.weights["a"])
        mean, variance, factor = (blob.astype(np.float64) for blob in state.weights["bn"])
        gamma, beta = (blob.astype(np.float64) for blob in state.weights["scale"])
        multiplier = gamma / np.sqrt(variance / factor + 1e-5)
        folded_weights, folded_bias = after.weights["a"]
        expected = weights * multiplier[:, None, None, None]
        np.testing.assert_allclose(folded_weights, expected, rtol=1e-6)
        expected = (bias - mean / factor) * multiplier + beta
        np.testing.assert_allclose(folded_bias, expected, rtol=1e-5)

    def test_4_who_else_reads_the_output_keeps_it_from_being_folded(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        other = 'layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "n" top: "sum" }\n'
        text = INPUT + conv("a", "data") + batch_norm() + other
        with caplog.at_level(logging.INFO):
            assert self.fold(text)[0] == normal(text)
        assert "'a' is not folded" in caplog.text and "'sum'" in caplog.text

    def test_4_nor_is_it_where_training_and_testing_differ(self) -> None:
        text = INPUT + conv("a", "data") + batch_norm("include { phase: TRAIN }")
        assert self.fold(text)[0] == normal(text)
