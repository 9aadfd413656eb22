"""IFMR: the reference library's calibrations, and what it does wrong."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Tuple

import numpy as np
import pytest
from numpy.typing import NDArray

from amct_core.errors import QuantizationError
from amct_core.numerics import ifmr

Cases = Callable[[str], List[Dict[str, Any]]]


def calibrated(case: Dict[str, Any], x: Any) -> Tuple[np.float32, int]:
    start, end = case["search_range"]
    return ifmr.calibrate(
        x,
        case["with_offset"],
        (start, end),
        case["search_step"],
        case["max_percentile"],
        case["min_percentile"],
    )


def test_scales_and_offsets_equal_the_reference_library(cases: Cases) -> None:
    compared = cases("ifmr")
    assert len(compared) == 9
    for case in compared:
        scale, offset = calibrated(case, np.array(case["input"], np.float32))
        assert scale == np.float32(case["scale"]), case["name"]
        assert offset == case["offset"], case["name"]


def test_batches_and_shapes_make_no_difference(cases: Cases) -> None:
    for case in cases("ifmr"):
        x = np.array(case["input"], np.float32)
        parts = [x[:10].reshape(2, 5), x[10:20].reshape(1, 2, 5), x[20:], x[:0]]
        assert calibrated(case, parts) == calibrated(case, x)


def exhaustive(x: NDArray[np.float32]) -> Tuple[np.float32, int]:
    """Search all 60 ratios over the whole tensor at once, with sums in extended precision."""
    high, low = max(x.max(), np.float32(0)), min(x.min(), np.float32(0))
    best: Tuple[float, np.float32] = (np.inf, np.float32(0))
    for index in range(60):
        ratio = np.float32(0.7) + np.float32(index) * np.float32(0.01)
        scale = (ratio * high - low) / np.float32(255)
        steps = np.clip(x, low, ratio * high) / scale
        rounded = (np.sign(steps) * np.floor(np.abs(steps.astype(np.float64)) + 0.5)).astype(
            x.dtype
        )
        error = float(((rounded * scale - x).astype(np.longdouble) ** 2).sum())
        if error < best[0]:
            best = (error, scale)
    zero = float(low / best[1])
    return best[1], int(np.floor(abs(zero) + 0.5)) - 128


@pytest.mark.parametrize("seed", range(4))
def test_a_tensor_larger_than_one_chunk_is_searched_as_a_whole(seed: int) -> None:
    random = np.random.default_rng(seed)
    x = random.laplace(loc=random.normal(), size=70_001).astype(np.float32)
    assert ifmr.calibrate(x) == exhaustive(x)


@pytest.mark.parametrize(("k", "count"), [(1, 1000), (10, 1000), (700, 70_000), (40_000, 80_000)])
def test_percentiles_select_the_kth_largest_and_smallest(k: int, count: int) -> None:
    x = np.random.default_rng(k).permutation(count).astype(np.float32) - count // 2
    percentile = 1 - (k - 0.5) / count
    # One candidate of ratio 1: the bounds themselves.
    scale, offset = ifmr.calibrate(x, True, (1.0, 1.0), 1.0, percentile, percentile)
    ranked = np.sort(x)
    high, low = max(ranked[-k], 0), min(ranked[k - 1], 0)
    assert scale == np.float32(np.float32(high - low) / np.float32(255) if high > low else 1)
    assert offset == -round(float(low) / float(scale)) - 128


def test_a_percentile_of_all_values_but_a_float32_rounding_still_selects_one() -> None:
    # In float32, 0.99999994 * 100 rounds to 100, so k would be 0.
    x = np.linspace(0, 1, 100, dtype=np.float32)
    percentile = float(np.nextafter(np.float32(1), np.float32(0)))
    assert ifmr.calibrate(x, max_percentile=percentile) == ifmr.calibrate(x, max_percentile=1.0)


def test_a_ratio_of_130_percent_is_never_tried() -> None:
    ratios = ifmr._ratios((0.7, 1.3), 0.01)
    assert ratios.size == 60
    assert ratios[-1] == np.float32(0.7) + np.float32(59) * np.float32(0.01)
    assert ifmr._ratios((0.8, 1.2), 0.02).size == 21


@pytest.mark.parametrize(("with_offset", "offset"), [(True, -128), (False, 0)])
def test_zeros_give_scale_1(with_offset: bool, offset: int) -> None:
    scale, found = ifmr.calibrate(np.zeros((2, 3), np.float32), with_offset)
    assert [float(scale), found] == [1, offset]


def test_a_rejected_candidate_does_not_win() -> None:
    # From ratio 0.84 on the scale exceeds 2**23; the reference gives these an error of 0.
    x = np.array([0.0, 1.0, 1.0, 2.0**23 * 255 * 1.2], np.float32)
    scale, _ = ifmr.calibrate(x)
    assert scale <= 2**23
    # The best of the admissible ratios is the largest.
    ratios = ifmr._ratios((0.7, 1.3), 0.01)
    admissible = [float(r * x[3] / np.float32(255)) for r in ratios]
    assert scale == max(value for value in admissible if value <= 2**23)


def test_values_without_any_usable_scale_are_an_error() -> None:
    with pytest.raises(QuantizationError, match="not supported"):
        ifmr.calibrate(np.array([3e38, -3e38], np.float32))
    with pytest.raises(QuantizationError, match="not supported"):
        ifmr.calibrate(np.array([3e38], np.float32), with_offset=False)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_errors(value: float) -> None:
    with pytest.raises(QuantizationError, match="NaN or infinity"):
        ifmr.calibrate([np.ones(3, np.float32), np.array([value], np.float32)])


@pytest.mark.parametrize("nothing", [[], [np.empty((0, 3), np.float32)], np.empty(0, np.float32)])
def test_no_values_are_an_error(nothing: Any) -> None:
    with pytest.raises(QuantizationError, match="no values"):
        ifmr.calibrate(nothing)


@pytest.mark.parametrize(
    "parameters",
    [
        {"search_range": (0.0, 1.0)},
        {"search_range": (1.3, 0.7)},
        {"search_step": 0.0},
        {"max_percentile": 0.0},
        {"min_percentile": 1.1},
    ],
)
def test_parameters_out_of_range_are_errors(parameters: Dict[str, Any]) -> None:
    with pytest.raises(QuantizationError, match="expected"):
        ifmr.calibrate(np.ones(3, np.float32), **parameters)


@pytest.mark.parametrize(
    "given", [{"search_range": (0.7, 1e30)}, {"search_step": 1e-9}, {"search_range": (0.7, 3e38)}]
)
def test_more_candidates_than_can_be_tried_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(QuantizationError, match="expected at most 10000 steps"):
        ifmr.calibrate(np.ones(4, np.float32), **given)
