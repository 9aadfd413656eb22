"""LRN across channels: each step of its running sums rounds once."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from amct_caffe.model.layer_types.lrn import across_channels
from amct_core.numerics import libm
from tests.core.numerics.test_fused import nearest_float32


def plain(x: list[float], size: int, alpha: float, beta: float, k: float) -> list[float]:
    """Return the channels of one pixel, step by step as lrn_layer.cpp does, in exact arithmetic."""
    factor = Fraction(float(np.float32(alpha) / np.float32(size)))
    before = (size - 1) // 2
    squares = [nearest_float32(Fraction(value) ** 2) for value in x]
    padded = [0.0] * before + squares + [0.0] * (size - 1 - before)

    def axpy(sign: int, square: float, total: float) -> float:
        found = nearest_float32(sign * factor * Fraction(square) + Fraction(total))
        assert found is not None
        return found

    total = float(np.float32(k))
    for square in padded[:size]:
        total = axpy(1, square, total)
    totals = [total]
    for channel in range(1, len(x)):
        total = axpy(1, padded[channel + size - 1], total)
        total = axpy(-1, padded[channel - 1], total)
        totals.append(total)
    powers = libm.powf(np.float32(totals), -np.float32(beta))
    return [float(np.float32(value) * power) for value, power in zip(x, powers)]


@given(
    x=arrays(np.float32, st.integers(1, 9), elements=st.floats(-1000, 1000, width=32)),
    size=st.sampled_from([1, 3, 5, 7]),
    alpha=st.sampled_from([1e-4, 5e-5, 0.3, 1.0]),
    beta=st.sampled_from([0.75, 0.5]),
    k=st.sampled_from([1.0, 2.0]),
)
def test_it_is_that_of_exact_arithmetic_rounded_once_a_step(
    x: np.ndarray, size: int, alpha: float, beta: float, k: float
) -> None:
    found = across_channels(x.reshape(1, -1, 1, 1), size, alpha, beta, k)
    assert found.reshape(-1).tolist() == plain(x.tolist(), size, alpha, beta, k)


def test_pixels_and_samples_do_not_mix() -> None:
    x = np.random.default_rng(2).normal(0, 3, (3, 6, 4, 5)).astype(np.float32)
    whole = across_channels(x, 5, 0.3, 0.75, 1.0)
    for sample, row, column in np.ndindex(3, 4, 5):
        alone = x[sample : sample + 1, :, row : row + 1, column : column + 1]
        found = across_channels(alone, 5, 0.3, 0.75, 1.0)
        np.testing.assert_array_equal(whole[sample, :, row, column], found.reshape(-1))
