"""Bounds of partial sums, and an int32 in two float32 halves."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amct_core.errors import QuantizationError
from amct_core.numerics import exactness

offsets = st.integers(-128, 127)
int32s = st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=20)


def partial(products: list[int]) -> list[tuple[int, ...]]:
    """Return every selection of the products: what some order of summation passes through."""
    return [chosen for size in range(len(products) + 1) for chosen in combinations(products, size)]


@given(st.lists(st.integers(-128, 127), min_size=1, max_size=3), offsets)
def test_no_partial_sum_of_any_input_exceeds_the_bound(weights: list[int], offset: int) -> None:
    ends = (-128 - offset, 127 - offset)
    partial_sums = [
        abs(sum(products))
        for inputs in product(ends, repeat=len(weights))
        for products in partial([w * x for w, x in zip(weights, inputs)])
    ]
    (bound,) = exactness.partial_sum_bound(np.array([weights], np.int8), offset)
    assert bound >= max(partial_sums)
    if all(w >= 0 for w in weights) or all(w <= 0 for w in weights):
        assert bound == max(partial_sums)


def test_channels_lie_along_their_axis() -> None:
    weights = np.array([[[1, -2], [3, 4]], [[-5, 6], [-128, 8]]], np.int8)
    assert exactness.partial_sum_bound(weights, 0, 0).tolist() == [10 * 128, 147 * 128]
    assert exactness.partial_sum_bound(weights, 0, 1).tolist() == [14 * 128, 143 * 128]
    assert exactness.partial_sum_bound(weights, 0, None).tolist() == [157 * 128]


def test_the_offset_decides_how_large_inputs_can_be() -> None:
    weights = np.array([[1]], np.int8)
    assert exactness.partial_sum_bound(weights, -128).tolist() == [255]
    assert exactness.partial_sum_bound(weights, 127).tolist() == [255]
    assert exactness.partial_sum_bound(weights, 0).tolist() == [128]


def test_many_large_weights_do_not_wrap_around() -> None:
    weights = np.full((1, 100_000), -128, np.int8)
    (bound,) = exactness.partial_sum_bound(weights, -128)
    assert bound == 128 * 100_000 * 255


def test_exact_means_every_channel_below_2_to_24() -> None:
    assert exactness.is_exact(np.array([0, 2**24 - 1]))
    assert not exactness.is_exact(np.array([0, 2**24]))


@given(int32s)
def test_a_bias_survives_its_two_halves(values: list[int]) -> None:
    bias = np.array(values, np.int32)
    high, low = exactness.split_bias(bias)
    assert high.dtype == low.dtype == np.float32
    assert [int(h) * 65536 + int(part) for h, part in zip(high, low)] == values
    joined = exactness.join_bias(high, low)
    assert joined.dtype == np.int32
    np.testing.assert_array_equal(joined, bias)


def test_the_halves_are_16_bits_each() -> None:
    high, low = exactness.split_bias(np.array([-1, 65536, -(2**31), 2**31 - 1], np.int32))
    assert high.tolist() == [-1, 1, -32768, 32767]
    assert low.tolist() == [65535, 0, 0, 65535]


@pytest.mark.parametrize(
    ("high", "low"),
    [
        (0.5, 0.0),
        (0.0, 0.5),
        (32768.0, 0.0),
        (-32769.0, 0.0),
        (0.0, -1.0),
        (0.0, 65536.0),
        (np.nan, 0.0),
        (0.0, np.nan),
    ],
)
def test_halves_that_no_bias_has_are_an_error(high: float, low: float) -> None:
    with pytest.raises(QuantizationError, match="halves"):
        exactness.join_bias(np.array([high], np.float32), np.array([low], np.float32))


@given(
    st.lists(st.tuples(st.integers(-128, 127), st.integers(-128, 127)), min_size=1, max_size=12),
    st.integers(1, 400),
    offsets,
    st.booleans(),
)
def test_parts_are_exact_and_as_long_as_they_can_be(
    channels: list[tuple[int, int]], window: int, offset: int, outputs_first: bool
) -> None:
    weights = np.repeat(np.array(channels, np.int8)[:, :, None], window, axis=2)
    if outputs_first:
        weights = np.swapaxes(weights, 0, 1)
    axes = (0, 1) if outputs_first else (1, 0)
    parts = exactness.input_parts(weights, offset, *axes)
    assert [c for part in parts for c in range(part.start, part.stop)] == list(range(len(channels)))
    factor = max(128 + offset, 127 - offset)
    sums = np.abs(np.array(channels, np.int64)) * window * factor
    for part in parts:
        assert part.stop - part.start == 1 or sums[part].sum(axis=0).max() < 2**24
    for part, following in zip(parts, parts[1:]):
        assert sums[part.start : following.start + 1].sum(axis=0).max() >= 2**24
