"""Folding BatchNorm and Scale: the folded layer computes what the three did."""

from __future__ import annotations

from typing import Optional

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from amct_core.errors import ModelError, QuantizationError
from amct_core.numerics import arq, bn_fold
from amct_core.numerics.bn_fold import BatchNorm, Scale

Doubles = NDArray[np.float64]
Singles = NDArray[np.float32]


def linear(x: Doubles, weights: NDArray[np.generic], channel_axis: int) -> Doubles:
    """A 1 x 1 convolution: (n, in) -> (n, out)."""
    matrix = np.moveaxis(weights.astype(np.float64), channel_axis, 0)
    result: Doubles = x @ matrix.reshape(matrix.shape[0], -1).T
    return result


def caffe(y: Doubles, batch_norm: Optional[BatchNorm], scale: Optional[Scale]) -> Doubles:
    """BatchNorm with stored statistics, then Scale, as Caffe's layers compute them."""
    if batch_norm is not None:
        factor = 0 if batch_norm.scale_factor == 0 else 1 / batch_norm.scale_factor
        y = y - batch_norm.mean * factor
        y = y / np.sqrt(batch_norm.variance * factor + batch_norm.eps)
    if scale is not None:
        y = y * scale.gamma
        if scale.beta is not None:
            y = y + scale.beta
    return y


def layers(
    random: np.random.Generator, channels: int, has_batch_norm: bool, has_scale: bool, beta: bool
) -> tuple[Optional[BatchNorm], Optional[Scale]]:
    batch_norm = scale = None
    if has_batch_norm:
        batch_norm = BatchNorm(
            random.normal(size=channels),
            random.uniform(0, 3, channels),
            scale_factor=float(random.choice([0.0, 1.0, 999.982])),
            eps=1e-5,
        )
    if has_scale:
        scale = Scale(random.normal(size=channels), random.normal(size=channels) if beta else None)
    return batch_norm, scale


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 5),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0, 1]),
)
def test_the_folded_layer_computes_what_the_layers_did(
    seed: int,
    channels: int,
    has_bias: bool,
    has_batch_norm: bool,
    has_scale: bool,
    beta: bool,
    channel_axis: int,
) -> None:
    random = np.random.default_rng(seed)
    shape = [3, 1, 1]
    shape.insert(channel_axis, channels)
    weights = random.normal(size=shape).astype(np.float32)
    bias = random.normal(size=channels).astype(np.float32) if has_bias else None
    batch_norm, scale = layers(random, channels, has_batch_norm, has_scale, beta)

    folded, folded_bias = bn_fold.fold(weights, bias, batch_norm, scale, channel_axis)

    assert folded.dtype == folded_bias.dtype == np.float32
    assert folded.shape == weights.shape
    assert folded_bias.shape == (channels,)
    x = random.normal(size=(4, 3))
    before = linear(x, weights, channel_axis) + (0 if bias is None else bias.astype(np.float64))
    expected = caffe(before, batch_norm, scale)
    found = linear(x, folded, channel_axis) + folded_bias
    # Two roundings to float32, relative to the terms of the sum rather than to the sum.
    terms = linear(np.abs(x), np.abs(folded), channel_axis) + np.abs(folded_bias)
    assert (np.abs(found - expected) <= 2.0**-23 * terms + 1e-12).all()


def test_without_batch_norm_and_scale_nothing_changes() -> None:
    weights = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)
    bias = np.arange(3, dtype=np.float32)
    folded, folded_bias = bn_fold.fold(weights, bias, None, None)
    np.testing.assert_array_equal(folded, weights)
    np.testing.assert_array_equal(folded_bias, bias)


def test_a_scale_factor_of_zero_clears_the_statistics() -> None:
    multiplier, shift = bn_fold.multiplier_and_shift(
        BatchNorm([5.0], [7.0], scale_factor=0.0, eps=0.25), None
    )
    assert multiplier.tolist() == [2]
    assert shift.tolist() == [0]


def test_results_are_rounded_to_float32_once() -> None:
    # 1 / sqrt(3) rounded to float32 before the product would change the last bit.
    weights = np.array([[np.float32(1.1)]])
    folded, _ = bn_fold.fold(weights, None, BatchNorm([0.0], [3.0], eps=0.0), Scale([7.3]))
    assert folded[0, 0] == np.float32(float(weights[0, 0]) * (7.3 / np.sqrt(3.0)))


@given(st.integers(0, 2**32 - 1))
def test_quantized_weights_stay_on_their_grid(seed: int) -> None:
    random = np.random.default_rng(seed)
    weights = random.normal(size=(4, 6)).astype(np.float32)
    multiplier = random.normal(size=4)
    multiplier[0] = 0.0
    signs = bn_fold.orientation(multiplier)[:, np.newaxis]
    scale_w = arq.scales(weights * signs, 0)
    q = arq.quantize(weights * signs, scale_w, 0)

    folded, scales = bn_fold.fold_quantized(q, scale_w, multiplier)

    np.testing.assert_array_equal(folded[1:], q[1:])
    np.testing.assert_array_equal(scales, bn_fold.fold_scales(scale_w, multiplier))
    assert scales.dtype == np.float32
    assert folded.dtype == np.int8
    trained = signs * q * scale_w.astype(np.float64)[:, np.newaxis]
    found = folded * scales.astype(np.float64)[:, np.newaxis]
    np.testing.assert_allclose(found, trained * multiplier[:, np.newaxis], rtol=2.0**-23)


def test_the_orientation_is_the_sign_of_gamma_and_1_for_zero() -> None:
    assert bn_fold.orientation([-2.0, 0.0, -0.0, 3.0]).tolist() == [-1, 1, 1, 1]
    assert bn_fold.orientation(None).tolist() == [1]


def test_a_zero_multiplier_gives_zeros_and_scale_1() -> None:
    q = np.array([[-128, 3], [4, 5]], np.int8)
    folded, scales = bn_fold.fold_quantized(q, np.ones(1, np.float32), np.array([0.0, 2.0]))
    assert folded.tolist() == [[0, 0], [4, 5]]
    assert scales.tolist() == [1, 2]


@pytest.mark.parametrize("multiplier", [1e-35, 1e-10, 1.1e-7])
def test_a_scale_below_epsilon_counts_as_dead(multiplier: float) -> None:
    q = np.array([[7]], np.int8)
    folded, scales = bn_fold.fold_quantized(q, np.ones(1, np.float32), np.array([-multiplier]))
    assert folded.tolist() == [[0]]
    assert scales.tolist() == [1]


def test_epsilon_itself_is_alive() -> None:
    q, epsilon = np.array([[7]], np.int8), np.finfo(np.float32).eps
    folded, scales = bn_fold.fold_quantized(q, np.ones(1, np.float32), np.array([float(epsilon)]))
    assert folded.tolist() == [[7]]
    assert scales.tolist() == [epsilon]


def test_a_folded_scale_that_atc_would_refuse_is_an_error() -> None:
    with pytest.raises(QuantizationError, match="1 / FLT_EPSILON"):
        bn_fold.fold_scales(np.ones(1, np.float32), np.array([1e7]))


@given(st.integers(0, 2**32 - 1), st.floats(-45, -2))
def test_folding_before_and_after_quantization_calls_the_same_channels_dead(
    seed: int, exponent: float
) -> None:
    weights = np.random.default_rng(seed).normal(size=(1, 9)).astype(np.float32)
    gamma = 10.0**exponent
    before, _ = bn_fold.fold(weights, None, None, Scale([gamma]))
    scale_before = arq.scales(before, 0)[0]
    scale_after = bn_fold.fold_scales(arq.scales(weights, 0), np.array([gamma]))[0]
    exact = gamma * float(arq.scales(weights, 0)[0]) / np.finfo(np.float32).eps
    if abs(exact - 1) > 1e-6:  # at epsilon itself the two round differently
        assert (scale_before == 1) == (scale_after == 1) == (exact < 1)


def test_a_bias_is_folded_with_and_without_one_before() -> None:
    scale = Scale([2.0, -1.0], [0.5, 0.25])
    assert bn_fold.fold_bias(None, None, scale, 2).tolist() == [0.5, 0.25]
    bias = np.array([1.0, 2.0], np.float32)
    assert bn_fold.fold_bias(bias, None, scale, 2).tolist() == [2.5, -1.75]


def test_blobs_of_different_lengths_are_an_error_that_lists_them() -> None:
    with pytest.raises(ModelError, match="mean 2, variance 2, gamma 3"):
        bn_fold.multiplier_and_shift(BatchNorm([0.0] * 2, [1.0] * 2), Scale([1.0] * 3))


@pytest.mark.parametrize(
    ("batch_norm", "scale"),
    [
        (BatchNorm([0.0, 0.0], [1.0, -1.0]), None),
        (BatchNorm([0.0, 0.0], [1.0, 0.0], eps=0.0), None),
        (BatchNorm([0.0, np.nan], [1.0, 1.0]), None),
        (BatchNorm([0.0, 0.0], [1.0, np.nan]), None),
        (None, Scale([1.0, np.inf])),
        (None, Scale([1.0, 1.0], [0.0, np.nan])),
    ],
)
def test_unusable_statistics_are_errors_that_name_the_channel(
    batch_norm: Optional[BatchNorm], scale: Optional[Scale]
) -> None:
    with pytest.raises(QuantizationError, match="channel 1"):
        bn_fold.multiplier_and_shift(batch_norm, scale)


def test_overflow_of_float32_is_an_error() -> None:
    weights = np.array([[3e38]], np.float32)
    with pytest.raises(QuantizationError, match="overflow"):
        bn_fold.fold(weights, None, None, Scale([10.0]))


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([(1, 3, 4), (2, 4, 6), (3, 3, 3)]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_a_convolution_takes_over_what_stands_before_it(
    seed: int,
    sizes: tuple[int, int, int],
    has_batch_norm: bool,
    has_scale: bool,
    beta: bool,
    has_bias: bool,
) -> None:
    group, inputs, outputs = sizes
    if not has_batch_norm and not has_scale:
        return
    random = np.random.default_rng(seed)
    batch_norm, scale = layers(random, inputs, has_batch_norm, has_scale, beta)
    weights = random.normal(size=(outputs, inputs // group, 2, 1)).astype(np.float32)
    bias = random.normal(size=outputs).astype(np.float32) if has_bias else None
    x = random.normal(size=(5, inputs, 2, 1))

    def convolve(values: Doubles, kernel: Singles, added: Optional[Singles]) -> Doubles:
        """One position of a grouped convolution, group by group."""
        parts = [
            np.einsum("nihw,oihw->no", part, own.astype(np.float64))
            for part, own in zip(np.split(values, group, axis=1), np.split(kernel, group))
        ]
        return np.concatenate(parts, axis=1) + (0 if added is None else added)

    channels_last = caffe(np.moveaxis(x, 1, -1), batch_norm, scale)
    expected = convolve(np.moveaxis(channels_last, -1, 1), weights, bias)
    found = convolve(x, *bn_fold.fold_before(weights, bias, batch_norm, scale, group))
    size = np.abs(expected).max() + np.abs(found).max()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * max(size, 1.0))


def test_what_stands_before_a_convolution_must_have_its_channels() -> None:
    weights = np.ones((4, 2, 1, 1), np.float32)
    with pytest.raises(ModelError, match="3 channels, and the layer behind them reads 4"):
        bn_fold.fold_before(weights, None, None, Scale(np.ones(3)), group=2)
