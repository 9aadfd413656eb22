"""ULQ: outputs and gradients of the reference library, and where ours differ on purpose."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Callable, Dict, List, Tuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from amct_core.errors import QuantizationError
from amct_core.numerics import affine, ulq

Cases = Callable[[str], List[Dict[str, Any]]]
Singles = NDArray[np.float32]


def runs(cases: Cases) -> List[Dict[str, Any]]:
    found = [case for case in cases("ulq") if "top_diff" in case]
    assert [case["name"] for case in found] == ["sym", "fixedmin", "tiny"]
    return found


def single(values: Any) -> Singles:
    return np.array(values, np.float32)


def reference_forward(x: Singles, scale: np.float32, offset: int) -> Singles:
    """The reference library's forward: clamp to the snapped range, divide, round, multiply."""
    low, high = scale * np.float32(-128 - offset), scale * np.float32(127 - offset)
    rounded: Singles = np.rint(np.clip(x, low, high) / scale) * scale
    return rounded


def distance_to_tie(x: Singles, scale: np.float32) -> NDArray[np.float64]:
    steps = x.astype(np.float64) / float(scale)
    distance: NDArray[np.float64] = np.abs(steps - np.floor(steps) - 0.5)
    return distance


def test_forward_equals_the_reference_library_on_all_its_vectors(cases: Cases) -> None:
    for case in runs(cases):
        y, scale, offset = ulq.forward(
            single(case["x"]), case["clip_max"], case["clip_min"], case["fixed_min"]
        )
        assert y.dtype == np.float32
        assert scale == np.float32(case["scale"])
        assert offset == case["record_offset_d"]
        # None of these inputs lies at a tie, so not one of the 144 values differs.
        np.testing.assert_array_equal(y, single(case["y"]))


def test_gradients_equal_the_reference_library(cases: Cases) -> None:
    for case in runs(cases):
        bottom_diff, d_clip_max, d_clip_min = ulq.backward(
            single(case["x"]),
            single(case["top_diff"]),
            case["clip_max"],
            case["clip_min"],
            case["fixed_min"],
        )
        np.testing.assert_array_equal(bottom_diff, single(case["bottom_diff"]))
        assert d_clip_max == pytest.approx(case["d_clip_max"], rel=1e-5)
        assert d_clip_min == pytest.approx(case["d_clip_min"], rel=1e-5)


def test_bounds_are_repaired_as_in_the_reference_library(cases: Cases) -> None:
    compared = [case for case in cases("ulq") if case["name"] == "clip_check"]
    assert len(compared) == 5
    for case in compared:
        given_, expected = case["in"], case["out"]
        check = ulq.check_clips(given_["max"], given_["min"], given_["max_pre"], given_["min_pre"])
        assert (check.clip_max, check.clip_min) == (expected["max"], expected["min"])
        assert (check.previous_max, check.previous_min) == (
            expected["max_pre"],
            expected["min_pre"],
        )
        assert check.restored == case["flip"]


def test_a_negative_upper_bound_alone_is_taken_back() -> None:
    check = ulq.check_clips(-1.0, -2.0, 9.0, -9.0)
    assert [check.clip_max, check.clip_min] == [9, -2]
    assert [check.previous_max, check.previous_min] == [9, -2]
    assert not check.restored


finite = st.floats(-1e6, 1e6, width=32)


@given(finite, finite, st.floats(0.5, 10, width=32), st.floats(-10, 0, width=32))
def test_repaired_bounds_always_enclose_zero(
    clip_max: float, clip_min: float, last_max: float, last_min: float
) -> None:
    check = ulq.check_clips(clip_max, clip_min, last_max, last_min)
    assert check.clip_min <= 0 <= check.clip_max
    assert check.clip_min < check.clip_max
    assert check.previous_min <= 0 <= check.previous_max


@pytest.mark.parametrize("bounds", [(np.nan, 0.0), (1.0, np.nan), (np.inf, 0.0)])
def test_bounds_that_are_not_finite_are_an_error(bounds: Tuple[float, float]) -> None:
    with pytest.raises(QuantizationError, match="diverged"):
        ulq.check_clips(bounds[0], bounds[1], 1.0, -1.0)


def test_the_output_is_what_the_deployed_arithmetic_gives() -> None:
    x = np.random.default_rng(1).normal(size=(3, 4, 5)).astype(np.float32)
    y, scale, offset = ulq.forward(x, 1.7, -0.9)
    q = affine.quantize(x, np.float32(1) / scale, offset)
    np.testing.assert_array_equal(y, (q.astype(np.int16) - offset).astype(np.float32) * scale)


@pytest.mark.parametrize(
    ("clip_max", "clip_min", "offset"), [(255.0, 0.0, -128), (254.0, -1.0, -127)]
)
def test_at_an_exact_half_the_parity_of_the_offset_decides(
    clip_max: float, clip_min: float, offset: int
) -> None:
    ties = single([0.5, 1.5, 2.5, 3.5, 100.5])
    y, scale, found = ulq.forward(ties, clip_max, clip_min)
    assert [float(scale), found] == [1, offset]
    reference = reference_forward(ties, scale, offset)
    assert reference.tolist() == [0, 2, 2, 4, 100]
    expected = {-128: [0, 2, 2, 4, 100], -127: [1, 1, 3, 3, 101]}[offset]
    assert y.tolist() == expected


def test_outputs_differ_from_the_reference_by_one_step_and_only_next_to_ties() -> None:
    random = np.random.default_rng(2)
    differing = 0
    for _ in range(60):
        clip_max, clip_min = random.uniform(0.01, 50), -random.uniform(0, 50)
        scale, offset = affine.scale_offset(clip_max, clip_min)
        # One half of the inputs anywhere, the other half within a few ulps of ties.
        anywhere = random.uniform(1.2 * clip_min, 1.2 * clip_max, 2000).astype(np.float32)
        ties = (random.integers(-300, 300, 2000) + 0.5) * float(scale)
        near = (ties * (1 + random.integers(-4, 5, 2000) * 2.0**-24)).astype(np.float32)
        x = np.concatenate([anywhere, near])
        y, _, _ = ulq.forward(x, clip_max, clip_min)
        reference = reference_forward(x, scale, offset)
        unequal = y != reference
        differing += int(unequal.sum())
        assert (distance_to_tie(x, scale)[unequal] < 2.0**-14).all()
        steps = (y[unequal].astype(np.float64) - reference[unequal]) / float(scale)
        np.testing.assert_allclose(np.abs(steps), 1, rtol=1e-4)
    assert differing > 0


def exact_gradients(
    x: Singles, g: Singles, clip_max: float, clip_min: float, scale: np.float32, offset: int
) -> List[float]:
    """The published table, element by element in rational arithmetic."""

    def d(value: float) -> Fraction:
        t = Fraction(value) * 255 / (Fraction(clip_max) - Fraction(clip_min))
        nearest = int(abs(t) + Fraction(1, 2)) * (1 if t >= 0 else -1)
        return (nearest - t) / 255

    high = float(scale * np.float32(127 - offset))
    low = float(scale * np.float32(-128 - offset))
    total_max, total_min = Fraction(0), Fraction(0)
    for value, gradient in zip(x.tolist(), g.tolist()):
        weight = Fraction(gradient)
        if value > high:
            total_max += weight * (d(clip_min) + 1)
            total_min -= weight * d(clip_min)
        elif value < low:
            total_max += weight * d(clip_min)
            total_min += weight * (1 - d(clip_min))
        else:
            total_max += weight * d(value)
            total_min -= weight * d(value)
    return [float(total_max), float(total_min)]


@pytest.mark.parametrize("seed", range(5))
def test_gradients_follow_the_table(seed: int) -> None:
    random = np.random.default_rng(seed)
    clip_max = float(np.float32(random.uniform(0.5, 4)))
    clip_min = float(np.float32(-random.uniform(0.1, 3)))
    x = random.normal(size=500, scale=3).astype(np.float32)
    g = random.normal(size=500).astype(np.float32)
    scale, offset = affine.scale_offset(clip_max, clip_min)
    _, *found = ulq.backward(x, g, clip_max, clip_min)
    np.testing.assert_allclose(
        found, exact_gradients(x, g, clip_max, clip_min, scale, offset), rtol=1e-5
    )


def test_the_range_of_the_straight_through_gradient_is_the_snapped_one() -> None:
    # Bounds 254.4 and -0.6 with scale 1 snap to 254 and -1.
    x = single([254.0, 254.2, -0.8, -1.0, -1.2])
    bottom_diff, _, _ = ulq.backward(x, np.ones(5, np.float32), 254.4, -0.6)
    assert affine.scale_offset(254.4, -0.6)[1] == -127
    assert bottom_diff.tolist() == [1, 0, 1, 1, 0]


def test_sums_of_a_large_blob_do_not_drift() -> None:
    # Every element adds the same: D(0.25) = -0.25 / 255 with scale 1.  A float32 running sum of
    # four million of them is wrong in the third digit.
    count = 4_000_000
    x, g = np.full(count, 0.25, np.float32), np.ones(count, np.float32)
    _, d_clip_max, d_clip_min = ulq.backward(x, g, 255.0, 0.0)
    assert d_clip_max == pytest.approx(-0.25 / 255 * count, rel=1e-6)
    assert d_clip_min == -d_clip_max
    naive = np.cumsum(np.full(count, -0.25 / 255, np.float32))[-1]
    assert naive != pytest.approx(d_clip_max, rel=1e-3)


def test_with_fixed_min_the_given_lower_bound_plays_no_part() -> None:
    random = np.random.default_rng(3)
    x, g = random.normal(size=(2, 100)).astype(np.float32)
    np.testing.assert_array_equal(
        ulq.forward(x, 1.5, -0.4, fixed_min=True)[0], ulq.forward(x, 1.5, 0.0)[0]
    )
    pinned, zero = ulq.backward(x, g, 1.5, -0.4, fixed_min=True), ulq.backward(x, g, 1.5, 0.0)
    np.testing.assert_array_equal(pinned[0], zero[0])
    assert pinned[1:] == zero[1:]


def test_infinite_inputs_saturate_and_leave_the_gradients_finite() -> None:
    x = single([np.inf, -np.inf])
    y, scale, offset = ulq.forward(x, 1.0, -1.0)
    assert y.tolist() == [scale * np.float32(127 - offset), scale * np.float32(-128 - offset)]
    bottom_diff, d_clip_max, d_clip_min = ulq.backward(x, np.ones(2, np.float32), 1.0, -1.0)
    assert bottom_diff.tolist() == [0, 0]
    assert np.isfinite([d_clip_max, d_clip_min]).all()


def test_nan_equal_bounds_and_mismatched_shapes_are_errors() -> None:
    x = np.zeros(2, np.float32)
    with pytest.raises(QuantizationError, match="NaN"):
        ulq.forward(single([np.nan]), 1.0, -1.0)
    with pytest.raises(QuantizationError, match="clip_max > clip_min"):
        ulq.backward(x, x, 0.0, 0.0)
    with pytest.raises(QuantizationError, match=r"\(2,\).*\(3,\)"):
        ulq.backward(x, np.zeros(3, np.float32), 1.0, -1.0)


@pytest.mark.parametrize("shape", [(), (0,), (2, 3), (2, 3, 4, 5)])
def test_any_shape_is_kept(shape: Any) -> None:
    x = np.ones(shape, np.float32)
    assert ulq.forward(x, 1.0, -1.0)[0].shape == shape
    assert ulq.backward(x, x, 1.0, -1.0)[0].shape == shape
