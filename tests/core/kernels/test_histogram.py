"""The compiled histograms beside their definitions: every count is the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amct_core.errors import QuantizationError
from amct_core.kernels import histogram as kernel
from amct_core.kernels import threads
from amct_core.numerics import hfmg, kl, mse, percentile
from amct_core.numerics.hfmg import Bins
from amct_core.numerics.histogram import Histogram
from tests.core.kernels.drawn import LARGEST, SMALLEST, arrays

pytest.importorskip("numba")

extreme = (SMALLEST, -SMALLEST, 1e-30, -1e-30)
batches = st.lists(arrays(extreme), min_size=1, max_size=3)
DEFINITIONS = {
    kernel.Hfmg: hfmg.Hfmg,
    kernel.Percentile: percentile.Percentile,
    kernel.Mse: mse.Mse,
    kernel.Kl: kl.Kl,
}


def same(found: Histogram, expected: Histogram) -> None:
    assert (found.exponent, found.first, found.zeros, found.seen) == (
        expected.exponent,
        expected.first,
        expected.zeros,
        expected.seen,
    )
    assert found.counts.dtype == np.int64
    np.testing.assert_array_equal(found.counts, expected.counts)


@settings(max_examples=50)
@given(stream=batches, limit=st.sampled_from([2, 64, 8192]))
def test_the_histogram_of_a_stream_is_that_of_the_definition(
    stream: list[np.ndarray], limit: int
) -> None:
    found = expected = Histogram(limit)
    for batch in stream:
        found, expected = kernel.observed(found, batch), expected.observed(batch)
        same(found, expected)


@settings(max_examples=50)
@given(batch=arrays((LARGEST, -LARGEST)))
def test_so_is_that_of_the_largest_numbers(batch: np.ndarray) -> None:
    same(kernel.observed(Histogram(), batch), Histogram().observed(batch))


@settings(max_examples=50)
@given(stream=batches, count=st.sampled_from(hfmg.NUMBERS_OF_BINS))
def test_bins_of_hfmg_are_those_of_the_definition(stream: list[np.ndarray], count: int) -> None:
    found, expected = kernel.Hfmg(num_of_bins=count), hfmg.Hfmg(num_of_bins=count)
    for batch in stream:
        found.observe(batch)
        expected.observe(batch)
        (mine,), (theirs,) = found._bins, expected._bins
        assert (mine.low, mine.high) == (theirs.low, theirs.high)
        np.testing.assert_array_equal(mine.counts, theirs.counts)


@settings(max_examples=50)
@given(batch=arrays((LARGEST, -LARGEST)))
def test_hfmg_takes_the_largest_numbers_as_the_definition_does(batch: np.ndarray) -> None:
    empty = Bins(batch.min(), batch.max(), np.zeros(1024, np.int64))
    np.testing.assert_array_equal(
        kernel.with_counts_of(empty, batch).counts, empty.with_counts_of(batch).counts
    )


def test_edges_of_bins_belong_to_the_bin_above_them() -> None:
    edges = np.arange(-512, 512, dtype=np.float32) / 16
    x = np.concatenate([edges, np.nextafter(edges, np.float32(-np.inf))])
    same(kernel.observed(Histogram(1024), x), Histogram(1024).observed(x))
    bins = Bins(np.float32(-32), np.float32(32), np.zeros(1024, np.int64))
    inside = x[x >= -32]
    np.testing.assert_array_equal(
        kernel.with_counts_of(bins, inside).counts, bins.with_counts_of(inside).counts
    )


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_counts_do_not_depend_on_the_number_of_threads(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.maximum(np.random.default_rng(5).normal(0, 1, 500_003), 0).astype(np.float32)
    monkeypatch.setattr(threads, "_default_threads", lambda: count)
    same(kernel.observed(Histogram(), x), Histogram().observed(x))
    bins = Bins(x.min(), x.max(), np.zeros(4096, np.int64))
    np.testing.assert_array_equal(
        kernel.with_counts_of(bins, x).counts, bins.with_counts_of(x).counts
    )


@pytest.mark.parametrize("compiled", DEFINITIONS)
@pytest.mark.parametrize("with_offset", [True, False])
def test_scale_and_offset_are_those_of_the_definition(compiled: Any, with_offset: bool) -> None:
    generator = np.random.default_rng(3)
    found, expected = (
        algorithm(with_offset=with_offset) for algorithm in (compiled, DEFINITIONS[compiled])
    )
    for spread in (1, 3, 2):
        x = np.maximum(generator.normal(0.5, spread, (4, 16, 40, 40)), -1).astype(np.float32)
        found.observe(x)
        expected.observe(x)
    assert found.result() == expected.result()


@pytest.mark.parametrize("compiled", DEFINITIONS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_errors(compiled: Any, value: float) -> None:
    run = compiled()
    run.observe(np.ones(3, np.float32))
    with pytest.raises(QuantizationError, match="NaN or infinity"):
        run.observe(np.array([1, value], np.float32))


def test_a_batch_without_values_changes_nothing() -> None:
    histogram = kernel.observed(Histogram(), np.array([1, -2], np.float32))
    same(kernel.observed(histogram, np.zeros((0, 3), np.float32)), histogram)


def test_without_numba_the_definitions_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "load", lambda name: None)
    x = np.random.default_rng(1).normal(0, 1, 999).astype(np.float32)
    same(kernel.observed(Histogram(), x), Histogram().observed(x))
    bins = Bins(x.min(), x.max(), np.zeros(1024, np.int64))
    np.testing.assert_array_equal(
        kernel.with_counts_of(bins, x).counts, bins.with_counts_of(x).counts
    )
