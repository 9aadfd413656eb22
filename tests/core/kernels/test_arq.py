"""ARQ in place and compiled, beside its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amct_core.builtin import amct_weight_algorithms
from amct_core.errors import QuantizationError
from amct_core.kernels import arq as kernel
from amct_core.kernels import threads
from amct_core.numerics import arq
from amct_core.weight_quantization import quantize_weights
from tests.core.kernels.drawn import SMALLEST, arrays, same_bits

pytest.importorskip("numba")

(DEFINITION,) = amct_weight_algorithms()
EXTREME = (1e9, -1e9, SMALLEST, -SMALLEST, 128 * 2.0**-23, -127 * 2.0**-23, 2.0**-126)


@given(
    weights=arrays(EXTREME, spreads=(SMALLEST, 1e-6, 1.0, 1e7)),
    axis=st.integers(0, 1),
    channel_wise=st.booleans(),
    seed=st.integers(0, 2**16),
    has_gamma=st.booleans(),
)
def test_fake_quantized_weights_are_those_of_the_definition_bit_for_bit(
    weights: np.ndarray, axis: int, channel_wise: bool, seed: int, has_gamma: bool
) -> None:
    channels = weights.shape[axis]
    gamma = np.random.default_rng(seed).normal(0, 1, channels) if has_gamma else None
    signs = np.ones(1, np.float32)
    if gamma is not None:
        signs = np.where(gamma < 0, -1, 1).astype(np.float32)
    out = np.full(weights.shape, np.nan, np.float32)
    expected = quantize_weights(weights, DEFINITION, axis, channel_wise, gamma)
    scales = kernel.fake_quantize_into(weights, out, signs, axis, channel_wise)
    same_bits(scales, expected.scale_w)
    same_bits(out, expected.fake_quantized())


def test_halves_go_away_from_zero_and_saturate() -> None:
    row = np.arange(-256, 257, dtype=np.float32) / 2
    weights = np.stack([row, -row, row / 4])
    out = np.empty_like(weights)
    signs = np.float32([1, -1, 1])
    scales = kernel.fake_quantize_into(weights, out, signs, 0, True)
    oriented = weights * signs[:, None]
    same_bits(scales, arq.scales(oriented, 0))
    integers = arq.quantize(oriented, scales, 0).astype(np.float32)
    same_bits(out, integers * (signs * scales)[:, None])


@pytest.mark.parametrize("fault", [np.nan, -np.nan, np.inf, -np.inf, 3e9])
@pytest.mark.parametrize("channel_wise", [True, False])
def test_faulty_weights_are_refused_in_the_words_of_the_definition(
    fault: float, channel_wise: bool
) -> None:
    weights = np.ones((3, 40), np.float32)
    weights[1, 17] = fault
    with pytest.raises(QuantizationError) as expected:
        arq.scales(weights, 0 if channel_wise else None)
    with pytest.raises(QuantizationError) as found:
        kernel.fake_quantize_into(
            weights, np.empty_like(weights), np.ones(1, np.float32), 0, channel_wise
        )
    assert str(found.value) == str(expected.value)


def test_only_what_differs_is_written() -> None:
    weights = np.random.default_rng(1).normal(0, 1, (6, 50)).astype(np.float32)
    signs, scales = np.ones(6, np.float32), np.empty(6, np.float32)
    out = np.empty_like(weights)
    kernel.fake_quantize_into(weights, out, signs, 0, True)
    expected = out.copy()

    def again() -> int:
        views = weights.reshape(1, 6, 50), out.reshape(1, 6, 50)
        return int(kernel.load("arq").fake_quantize_channels(*views, signs, scales, 0, 6))

    assert again() == 0
    out[4, 7] += 1  # somebody wrote into the quantized weights
    weights[2] *= 1.5  # the same integers, another scale
    assert again() == 50 + 50  # the channels' rows
    kernel.fake_quantize_into(weights, expected, signs, 0, True)
    same_bits(out, expected)


def test_results_do_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = np.random.default_rng(2).normal(0, 1, (7, 70_000)).astype(np.float32)
    results = set()
    for count in (1, 2, 3, 7):
        monkeypatch.setattr(threads, "_default_threads", lambda count=count: count)
        for channel_wise in (True, False):
            out = np.zeros_like(weights)
            scales = kernel.fake_quantize_into(weights, out, np.ones(1, "f4"), 0, channel_wise)
            results.add((channel_wise, out.tobytes(), scales.tobytes()))
    assert len(results) == 2
