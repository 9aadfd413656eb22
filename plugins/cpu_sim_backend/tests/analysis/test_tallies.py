"""What is summed batch by batch is what NumPy says of all values at once."""

from __future__ import annotations

import math

import numpy as np
import pytest

from amct_core.numerics import affine
from amct_core.numerics.histogram import Histogram
from cpu_sim_backend.analysis.bounds import Bounds, best_bounds, expected_error
from cpu_sim_backend.analysis.tallies import (
    AccumulatorTally,
    ActivationTally,
    DecisionTally,
    SimilarityTally,
)


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_similarity() -> None:
    x = normal(1, 40_000)
    y = x + 0.1 * normal(2, 40_000)
    tally = SimilarityTally()
    for start in range(0, len(x), 999):
        tally.add(x[start : start + 999], y[start : start + 999])
    found = tally.similarity()
    a, b = x.astype(np.float64), y.astype(np.float64)
    ratio = (a @ a) / ((a - b) @ (a - b))
    assert found.snr == pytest.approx(10 * math.log10(ratio), abs=1e-4)
    assert found.cosine == pytest.approx((a @ b) / math.sqrt((a @ a) * (b @ b)), abs=1e-6)


@pytest.mark.parametrize(
    ("x", "y", "snr", "cosine"),
    [
        ([1.0, 2.0], [1.0, 2.0], math.inf, 1.0),
        ([0.0, 0.0], [0.0, 0.0], math.inf, 1.0),
        ([0.0, 0.0], [0.0, 1.0], math.nan, 0.0),
        ([1.0, 1.0], [-1.0, -1.0], -20 * math.log10(2), -1.0),
        ([1e30, 0.0], [1e30, 1e29], 20.0, 1 / math.sqrt(1.01)),
    ],
)
def test_similarity_of_special_values(
    x: list[float], y: list[float], snr: float, cosine: float
) -> None:
    tally = SimilarityTally()
    tally.add(np.float32(x), np.float32(y))
    found = tally.similarity()
    assert found.snr == pytest.approx(snr, nan_ok=True, rel=1e-6)
    assert found.cosine == pytest.approx(cosine, rel=1e-6)


def test_activations() -> None:
    x = np.concatenate([normal(3, 30_000), np.float32([5.0, -0.5])])
    scale, offset = affine.scale_offset(2.0, -2.0)
    q = affine.quantize(x, affine.quant_scale(scale), offset)
    tally = ActivationTally(float(scale), offset)
    for start in range(0, len(x), 7_000):
        tally.add(x[start : start + 7_000], q[start : start + 7_000])
    found = tally.report("x")
    low, high = (-128 - offset) * float(scale), (127 - offset) * float(scale)
    assert (found.clip_min, found.clip_max) == (low, high)
    assert (found.lowest, found.highest) == (float(x.min()), 5.0)
    assert found.clipped == np.mean((x < low) | (x > high))
    assert found.used == len(np.unique(q))
    assert sum(found.histogram.counts) == len(x)
    assert found.histogram.low <= x.min() < x.max() <= found.histogram.high
    clipping = float(((x - x.clip(low, high)).astype(np.float64) ** 2).sum())
    signal = float((x.astype(np.float64) ** 2).sum())
    assert found.clipping_snr == pytest.approx(10 * math.log10(signal / clipping), abs=1e-3)
    rounding = len(x) * float(scale) ** 2 / 12
    assert found.rounding_snr == pytest.approx(10 * math.log10(signal / rounding), abs=0.5)
    typical = np.quantile(np.abs(x), 0.999) / float(scale)
    assert found.typical == pytest.approx(typical, rel=0.02)


def test_the_best_bounds_clip_an_outlier() -> None:
    x = np.concatenate([normal(4, 100_000), np.float32([400.0])])
    found = best_bounds(Histogram().observed(x))
    assert 3 < found.high < 400
    whole = Bounds(float(x.min()), 400.0)
    assert expected_error(Histogram().observed(x), found) < expected_error(
        Histogram().observed(x), whole
    )


def test_the_best_bounds_of_even_values_are_their_range() -> None:
    x = np.linspace(0, 4, 10_001, dtype=np.float32)
    assert best_bounds(Histogram().observed(x)) == Bounds(0.0, 4.0)


def test_accumulators_that_the_shift_clamps() -> None:
    tally = AccumulatorTally(np.uint8([1, 4]))
    tally.add(np.int32([[65_535, 65_536], [-65_536, -65_537], [1, -600_000]]))
    assert (tally.largest, tally.values) == (600_000, 6)
    # Channel 0 by one bit: 32767, -32768, 0; channel 1 by four: 4096, -4097, -37500.
    assert tally.saturated == 1


def test_decisions() -> None:
    tally = DecisionTally()
    tally.add(np.float32([[1, 2], [3, 1]]), np.float32([[1, 3], [1, 3]]))
    assert tally.share() == 0.5
    tally.add(np.zeros((2, 3, 2, 2), np.float32), np.zeros((2, 3, 2, 2), np.float32))
    assert tally.share() is None
