"""The histogram of a stream: its result depends on the values, and on nothing else."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from amct_core.errors import QuantizationError
from amct_core.numerics.histogram import Histogram
from tests.core.numerics.sharing import on_ranks

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
values = arrays.arrays(np.float32, st.integers(1, 60), elements=finite)
limits = st.sampled_from([2, 7, 64, 8192])


def same(first: Histogram, second: Histogram) -> bool:
    return (
        (first.exponent, first.first, first.zeros, first.seen)
        == (second.exponent, second.first, second.zeros, second.seen)
    ) and np.array_equal(first.counts, second.counts)


@given(x=values, limit=limits)
def test_a_value_lies_in_the_bin_of_its_exact_quotient(x, limit):
    histogram = Histogram(limit).observed(x)
    width = Fraction(2) ** histogram.exponent
    expected = np.zeros_like(histogram.counts)
    for value in x.tolist():
        expected[math.floor(Fraction(value) / width) - histogram.first] += 1
    assert np.array_equal(histogram.counts, expected)
    assert histogram.zeros == np.count_nonzero(x == 0)
    assert (histogram.seen.low, histogram.seen.high) == (min(x.min(), 0), max(x.max(), 0))


@given(x=values, limit=limits)
def test_the_width_is_the_least_that_needs_no_more_bins(x, limit):
    histogram = Histogram(limit).observed(x)

    def bins(exponent):
        width = Fraction(2) ** exponent
        ends = [float(min(x.min(), 0)), float(max(x.max(), 0))]
        low, high = (math.floor(Fraction(end) / width) for end in ends)
        return high - low + 1

    assert len(histogram.counts) == bins(histogram.exponent) <= limit
    assert histogram.exponent == -149 or bins(histogram.exponent - 1) > limit


@given(x=values, limit=limits, cuts=st.lists(st.integers(0, 60)), seed=st.integers(0, 1000))
def test_batches_and_their_order_make_no_difference(x, limit, cuts, seed):
    shuffled = np.random.default_rng(seed).permutation(x)
    streamed = Histogram(limit)
    for batch in np.split(shuffled, sorted(cuts)):
        streamed = streamed.observed(batch)
    assert same(streamed, Histogram(limit).observed(x))


@given(x=values, limit=limits)
def test_a_coarser_one_is_that_of_the_data(x, limit):
    assert same(Histogram().observed(x).coarsened(limit), Histogram(limit).observed(x))


@given(x=values, count=st.integers(1, 3))
def test_processes_find_that_of_all_values(x, count):
    shares = np.array_split(x, count)
    found = on_ranks(
        count, lambda rank, reduction: Histogram(64).observed(shares[rank]).combined(reduction)
    )
    assert all(same(one, Histogram(64).observed(x)) for one in found)


def test_edges_are_multiples_of_a_power_of_two_and_0_is_one():
    histogram = Histogram(8).observed(np.array([-0.9, 3.1], np.float32))
    assert histogram.edges().tolist() == [-1, 0, 1, 2, 3, 4]
    assert histogram.counts.tolist() == [1, 0, 0, 0, 1]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_errors_that_count_them(value):
    with pytest.raises(QuantizationError, match="NaN or infinity: 2 of 4"):
        Histogram().observed(np.array([1, value, value, 0], np.float32))
