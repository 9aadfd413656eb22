"""The compiled divergences of kl leave the choice of the window to the definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amct_core.kernels import kl as kernel
from amct_core.kernels import threads
from amct_core.kernels.loading import load
from amct_core.numerics import kl

pytest.importorskip("numba")


@st.composite
def histograms(draw) -> np.ndarray:
    """Draw counts of bins around 0: of one sign or two, sparse or dense, small or huge."""
    half = draw(st.sampled_from([8, 40, 300, 1100]))
    generator = np.random.default_rng(draw(st.integers(0, 2**16)))
    shape = np.exp(-np.abs(np.arange(-half, half)) * draw(st.sampled_from([0, 0.01, 0.1])))
    counts = generator.poisson(shape * draw(st.sampled_from([0.02, 1, 50, 1e6])))
    counts[: draw(st.sampled_from([0, half // 2, half]))] = 0
    return counts.astype(np.int64)


def divergences(counts: np.ndarray, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the divergences of all windows by definition and compiled."""
    half, below = len(counts) // 2, np.cumsum(np.pad(counts, (1, 0)))
    windows = kl.windows(counts, levels)
    expected = [
        kl.divergence(counts, below, half - i, min(half + i + 1, 2 * half), levels) for i in windows
    ]
    found = np.empty(len(windows))
    load("kl").divergences(counts, below, levels, levels // 2, found)
    return np.array(expected), found


@settings(max_examples=40)
@given(counts=histograms(), levels=st.sampled_from([16, 64, 256]))
def test_divergences_differ_in_the_order_of_additions_only(counts: np.ndarray, levels: int) -> None:
    expected, found = divergences(counts, levels)
    np.testing.assert_allclose(found, expected, rtol=0, atol=kernel._NEAR / 100)


@settings(max_examples=40)
@given(counts=histograms(), levels=st.sampled_from([16, 64, 256]))
def test_the_window_is_that_of_the_definition(counts: np.ndarray, levels: int) -> None:
    among = kernel.likely_windows(counts, levels)
    assert kl.best_window(counts, levels, among) == kl.best_window(counts, levels)


def test_few_windows_are_left() -> None:
    counts = np.random.default_rng(0).poisson(1e4 * np.exp(-(np.arange(-1024, 1024) ** 2) / 1e5))
    assert len(kernel.likely_windows(counts, 256)) <= 3


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_windows_do_not_depend_on_the_number_of_threads(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = np.random.default_rng(1).poisson(3, 2048)
    expected = kernel.likely_windows(counts, 256)
    monkeypatch.setattr(threads, "_default_threads", lambda: count)
    assert kernel.likely_windows(counts, 256) == expected


def test_fewer_bins_than_levels_have_no_window() -> None:
    counts = np.ones(128, np.int64)
    assert list(kernel.likely_windows(counts, 256)) == []
    assert kl.best_window(counts, 256, []) is None


def test_without_numba_all_windows_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "load", lambda name: None)
    counts = np.ones(600, np.int64)
    assert kernel.likely_windows(counts, 256) == range(128, 301)
