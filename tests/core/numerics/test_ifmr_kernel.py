"""The compiled errors of IFMR beside their definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amct_core.kernels import ifmr as kernel
from amct_core.numerics import ifmr

pytest.importorskip("numba")


@pytest.fixture(autouse=True)
def always_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "WORTH_IT", 0)


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


def test_on_little_data_the_definition_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "WORTH_IT", 100)
    ones = np.ones(99, np.float32)
    assert kernel.squared_errors([ones], ones[:1], ones[:1], ones[:1]) is None
