"""mse against an exhaustive search, with its own words for what a grid does to a value."""

from __future__ import annotations

import numpy as np
import pytest

from amct_core.errors import QuantizationError
from amct_core.numerics import mse
from amct_core.numerics.clipping import factors
from amct_core.numerics.histogram import Histogram
from amct_core.numerics.min_max import MinMax
from amct_core.numerics.mse import Mse

DISTRIBUTIONS = {
    "normal": lambda random, count: random.normal(0.3, 1, count),
    "laplace": lambda random, count: random.laplace(-0.5, 1, count),
    "student": lambda random, count: random.standard_t(3, count),
    "outlier": lambda random, count: np.append(random.normal(0, 1, count - 1), 60.0),
    "skewed": lambda random, count: random.gamma(1.0, 1.0, count) - 0.7,
}
every = pytest.mark.parametrize("draw", DISTRIBUTIONS.values(), ids=DISTRIBUTIONS)


def observed(x, limit=8192, **parameters):
    run = Mse(histogram=Histogram(limit), **parameters)
    run.observe(x.astype(np.float32))
    return run


def error_of(histogram, scale, offset):
    """Sum the squared errors of the centres of the bins, quantized one by one."""
    centres = (np.arange(histogram.first, histogram.end) + 0.5) * histogram.width
    steps = np.clip(np.rint(centres / np.float64(scale) + offset), -128, 127) - offset
    return float((histogram.counts * (centres - steps * np.float64(scale)) ** 2).sum())


def exhaustive(run, pairs):
    """Return the least error of these pairs of bounds, and the pair."""
    return min(
        (error_of(run.histogram, *factors(high, low, run.with_offset)), high, low)
        for high, low in pairs
    )


@every
def test_of_data_of_one_sign_no_range_is_better(draw):
    run = observed(np.maximum(draw(np.random.default_rng(1), 20_000), 0))
    highs, lows = mse.candidates(run.histogram.coarsened(2048))
    assert lows.tolist() == [0]
    _, high, low = exhaustive(run, [(high, lows[0]) for high in highs])
    assert run.result() == factors(high, low)


@every
@pytest.mark.parametrize("sign", [1, -1])
def test_without_an_offset_no_range_is_better(draw, sign):
    run = observed(sign * draw(np.random.default_rng(2), 20_000), with_offset=False)
    highs, lows = mse.candidates(run.histogram.coarsened(2048))
    if highs[0] > -lows[0]:
        pairs = [(high, lows[-1]) for high in highs]
    else:
        pairs = [(highs[-1], low) for low in lows]
    _, high, low = exhaustive(run, pairs)
    assert run.result() == factors(high, low, False)


@every
def test_of_all_pairs_of_bounds_the_best_is_found_within_one_bin(draw):
    run = observed(draw(np.random.default_rng(3), 5000), limit=2048, candidate_bins=300)
    candidates = run.histogram.coarsened(300)
    highs, lows = mse.candidates(candidates)
    error, high, low = exhaustive(run, [(high, low) for high in highs for low in lows])
    assert run.bounds() == pytest.approx((high, low), abs=candidates.width)
    assert error_of(run.histogram, *run.result()) == pytest.approx(error, rel=1e-3)


@every
def test_no_other_choice_of_one_bound_is_better(draw):
    run = observed(draw(np.random.default_rng(4), 20_000))
    highs, lows = mse.candidates(run.histogram.coarsened(2048))
    high, low = run.bounds()
    pairs = [(other, low) for other in highs] + [(high, other) for other in lows]
    error = error_of(run.histogram, *run.result())
    assert error <= exhaustive(run, pairs)[0] * (1 + 1e-9)


@every
@pytest.mark.parametrize("with_offset", [True, False])
def test_errors_of_the_values_themselves_are_no_larger_than_those_of_min_max(draw, with_offset):
    x = draw(np.random.default_rng(5), 20_000).astype(np.float32)
    plain = MinMax(with_offset=with_offset)
    plain.observe(x)

    def error(scale, offset):
        steps = np.clip(np.rint(x / scale + offset), -128, 127) - offset
        return np.mean((steps * scale - x) ** 2)

    assert error(*observed(x, with_offset=with_offset).result()) <= error(*plain.result()) * 1.001


def test_a_range_whose_scale_is_not_supported_is_no_candidate():
    x = np.append(np.ones(1000), 2.0**23 * 255 * 1.2)
    assert observed(x).result()[0] <= 2**23
    with pytest.raises(QuantizationError, match="not supported"):
        observed(np.array([3e38, 3.1e38]), limit=2).result()
