"""The compiled errors of IFMR beside their definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amct_core.kernels import ifmr as kernel
from amct_core.kernels import threads
from amct_core.numerics import ifmr

pytest.importorskip("numba")


def both(batches: list[np.ndarray], with_offset: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the errors by definition and compiled."""
    high = np.float32(max(max(batch.max() for batch in batches), 0))
    low = np.float32(min(min(batch.min() for batch in batches), 0))
    ratios = ifmr._ratios((0.7, 1.3), 0.01)
    candidates = list(ifmr._candidates(ratios, high, low, with_offset))
    columns = [np.float32([getattr(c, n) for c in candidates]) for n in ("low", "high", "scale")]
    compiled = kernel.squared_errors(batches, *columns)
    assert compiled is not None
    return ifmr._squared_errors(batches, candidates), compiled


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**16),
    sizes=st.lists(st.integers(1, 70_000), min_size=1, max_size=3),
    spread=st.sampled_from([1e-6, 1.0, 300.0, 1e6]),
    shift=st.sampled_from([-2.0, 0.0, 2.0]),
    with_offset=st.booleans(),
)
def test_errors_differ_in_the_order_of_additions_only(
    seed: int, sizes: list[int], spread: float, shift: float, with_offset: bool
) -> None:
    generator = np.random.default_rng(seed)
    batches = [((generator.normal(shift, 1, n)) * spread).astype(np.float32) for n in sizes]
    expected, found = both(batches, with_offset)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=0)


def test_halves_are_rounded_away_from_zero_as_in_the_definition() -> None:
    grid = np.arange(-300, 300, dtype=np.float32) / 2
    expected, found = both([np.concatenate([grid, np.nextafter(grid, np.float32(9e9))])], True)
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=0)


def test_scale_and_offset_are_those_of_the_definition() -> None:
    x = np.maximum(np.random.default_rng(3).normal(0.5, 1, (4, 16, 40, 40)), 0).astype(np.float32)
    batches = [x, x[::2] * np.float32(1.25)]
    found = ifmr.calibrate(batches, faster_errors=kernel.squared_errors)
    assert found == ifmr.calibrate(batches)


def test_zeros_are_left_out_and_change_nothing() -> None:
    x = np.maximum(np.random.default_rng(4).normal(0, 1, 30_000), 0).astype(np.float32)
    x[:9000], x[9000:9100] = 0, -0.0
    expected, found = both([x], True)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=0)
    zeros = np.zeros(20_000, np.float32)
    np.testing.assert_array_equal(kernel.squared_errors([zeros], *np.float32([[0], [1], [2]])), [0])


def test_errors_do_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(5).normal(0, 1, 300_001).astype(np.float32)
    results = set()
    for count in (1, 2, 3, 7):
        monkeypatch.setattr(threads, "_default_threads", lambda count=count: count)
        errors = kernel.squared_errors([x, x[:70_000]], *np.float32([[-2, -1], [2, 1], [0.1, 0.2]]))
        assert errors is not None
        results.add(errors.tobytes())
    assert len(results) == 1


def test_without_numba_the_definition_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "load", lambda name: None)
    ones = np.ones(99, np.float32)
    assert kernel.squared_errors([ones], ones[:1], ones[:1], ones[:1]) is None


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**16),
    sizes=st.lists(st.integers(1, 100_000), min_size=1, max_size=3),
    rank=st.sampled_from([1, 2, 7, 40_000]),
    kinds=st.sampled_from([2, 50, 10**7]),
    order=st.sampled_from([0, 1, -1]),
)
def test_kth_largest_is_what_sorting_finds(
    seed: int, sizes: list[int], rank: int, kinds: int, order: int
) -> None:
    generator = np.random.default_rng(seed)
    batches = [generator.integers(-kinds, kinds, n).astype(np.float32) for n in sizes]
    if order:
        batches = [np.sort(batch)[::order].copy() for batch in batches]
    ordered = np.sort(np.concatenate(batches))
    k = min(rank, ordered.size)
    assert ifmr._kth_largest(batches, k) == ordered[-k]
    assert ifmr._kth_largest(batches, k, sign=-1) == -ordered[k - 1]
