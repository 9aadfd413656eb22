"""AscendQuant's formula, checked one rounding at a time in exact arithmetic."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, List, Tuple

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from amct_core.errors import QuantizationError
from amct_core.numerics import affine


def scale_and_offset(
    clip_max: float, clip_min: float, fixed_min: bool = False
) -> Tuple[float, int]:
    scale, offset = affine.scale_offset(clip_max, clip_min, fixed_min)
    return float(scale), offset


offsets = st.integers(-128, 127)
scales = st.floats(2.0**-20, 2.0**20, width=32)
activations = st.floats(-(2.0**30), 2.0**30, width=32)


def to_float32(exact: Fraction) -> Fraction:
    """Round a rational number to float32, ties to even (float64 is wide enough to look it up)."""
    if exact == 0:
        return Fraction(0)
    exponent = max(exact.numerator.bit_length() - exact.denominator.bit_length(), -125)
    for power in (exponent - 1, exponent, exponent + 1):
        ulp = Fraction(2) ** (power - 23)
        steps = round(exact / ulp)
        if 2**23 <= abs(steps) <= 2**24:
            return steps * ulp
    return round(exact / Fraction(2) ** -149) * Fraction(2) ** -149


@given(activations, scales, offsets)
def test_every_operation_is_rounded_on_its_own(x: float, scale: float, offset: int) -> None:
    product = to_float32(Fraction(x) * Fraction(scale))
    expected = round(to_float32(product + offset))
    q = affine.quantize(np.array([x], np.float32), np.float32(scale), offset)
    assert q.dtype == np.int8
    assert q[0] == max(-128, min(127, expected))


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (0, [-2, -2, 0, 0, 2, 2]),
        (-3, [-6, -4, -4, -2, -2, 0]),
        (10, [8, 8, 10, 10, 12, 12]),
        (11, [8, 10, 10, 12, 12, 14]),
    ],
)
def test_ties_go_to_the_even_integer_after_the_offset_is_added(
    offset: int, expected: List[int]
) -> None:
    x = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], np.float32)
    assert affine.quantize(x, 1.0, offset).tolist() == expected


def test_values_saturate_and_infinity_does_too() -> None:
    x = np.array([1e30, -1e30, np.inf, -np.inf, 3.4e38], np.float32)
    assert affine.quantize(x, 100.0, 5).tolist() == [127, -128, 127, -128, 127]


def test_nan_is_an_error() -> None:
    with pytest.raises(QuantizationError, match="NaN"):
        affine.quantize(np.array([1.0, np.nan], np.float32), 1.0, 0)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.inf, np.nan])
def test_an_unusable_quant_scale_is_an_error(scale: float) -> None:
    with pytest.raises(QuantizationError, match="quant_scale"):
        affine.quantize(np.zeros(1, np.float32), scale, 0)


@pytest.mark.parametrize("offset", [-129, 128])
def test_an_offset_outside_int8_is_an_error(offset: int) -> None:
    zeros = np.zeros(1, np.int8)
    with pytest.raises(QuantizationError, match=str(offset)):
        affine.quantize(zeros, 1.0, offset)
    with pytest.raises(QuantizationError, match=str(offset)):
        affine.centered(zeros, offset)


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (2, 3, 4)])
def test_any_shape_is_kept(shape: Any) -> None:
    assert affine.quantize(np.ones(shape, np.float32), 2.0, 1).shape == shape


def test_strided_input_is_quantized_and_left_alone() -> None:
    x = np.arange(12, dtype=np.float32).reshape(3, 4).T
    before = x.copy()
    np.testing.assert_array_equal(affine.quantize(x, 1.0, 0), before.astype(np.int8))
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32])
@pytest.mark.parametrize("offset", [-128, -1, 0, 127])
def test_centered_is_exact_for_every_int8(offset: int, dtype: type) -> None:
    q = np.arange(-128, 128, dtype=np.int8)
    result = affine.centered(q, offset, dtype)
    assert result.dtype == dtype
    assert result.tolist() == [value - offset for value in range(-128, 128)]


@given(offsets, scales)
def test_dequantize_is_one_multiplication_of_an_exact_integer(offset: int, scale: float) -> None:
    q = np.arange(-128, 128, dtype=np.int8)
    expected = [float(to_float32((int(v) - offset) * Fraction(scale))) for v in q]
    result = affine.dequantize(q, offset, np.float32(scale))
    assert result.dtype == np.float32
    assert result.tolist() == expected


@given(scales, offsets)
def test_quantizing_what_was_dequantized_gives_the_same_integers(scale: float, offset: int) -> None:
    q = np.arange(-128, 128, dtype=np.int8)
    x = affine.dequantize(q, offset, scale)
    np.testing.assert_array_equal(affine.quantize(x, affine.quant_scale(scale), offset), q)


@given(st.floats(0, 1e6, width=32), st.floats(-1e6, 0, width=32))
def test_the_grid_spans_the_bounds(clip_max: float, clip_min: float) -> None:
    scale, offset = affine.scale_offset(clip_max, clip_min)
    assert scale.dtype == np.float32
    assert -128 <= offset <= 127
    step = float(scale)
    # Snapping the offset moves either end by half a step at most.
    assert abs(step * (-128 - offset) - clip_min) <= 0.501 * step
    assert clip_max <= step * (127 - offset) + 0.501 * step


@given(scales, offsets)
def test_bounds_give_scale_and_offset_back(scale: float, offset: int) -> None:
    clip_max, clip_min = affine.bounds(scale, offset)
    assert clip_min <= 0 <= clip_max
    again, offset_again = affine.scale_offset(clip_max, clip_min)
    assert offset_again == offset
    assert abs(float(again) - scale) <= 4 * float(np.spacing(np.float32(scale)))


def test_the_offset_of_a_half_is_rounded_away_from_zero() -> None:
    # min / scale = -0.5 and -1.5 exactly, with scale 1.
    assert scale_and_offset(254.5, -0.5) == (1.0, -127)
    assert scale_and_offset(253.5, -1.5) == (1.0, -126)


def test_fixed_min_pins_the_lower_bound_at_zero() -> None:
    assert scale_and_offset(255.0, -7.0, fixed_min=True) == (1.0, -128)
    assert scale_and_offset(255.0, 7.0, fixed_min=True) == (1.0, -128)


def test_a_dead_activation_gets_scale_1() -> None:
    assert scale_and_offset(0.0, 0.0) == (1.0, -128)
    assert scale_and_offset(1e-6, 0.0) == (1.0, -128)


def test_wrong_bounds_are_told_in_float32_digits() -> None:
    with pytest.raises(QuantizationError, match=r"clip_max is -0\.1 and clip_min is 0\.0;"):
        affine.scale_offset(-0.1, 0)


@pytest.mark.parametrize(
    ("clip_max", "clip_min"),
    [(-1.0, -2.0), (2.0, 1.0), (np.nan, 0.0), (1.0, np.nan), (np.inf, 0.0), (1.0, -np.inf)],
)
def test_bounds_that_exclude_zero_or_are_not_finite_are_errors(
    clip_max: float, clip_min: float
) -> None:
    with pytest.raises(QuantizationError, match="clip_min"):
        affine.scale_offset(clip_max, clip_min)


def test_an_overflowing_span_is_an_error() -> None:
    with pytest.raises(QuantizationError, match="scale"):
        affine.scale_offset(3e38, -3e38)


def test_process_scale_replaces_small_scales_and_rejects_large_ones() -> None:
    epsilon = np.float32(2.0**-23)
    below = np.nextafter(epsilon, np.float32(0))
    assert affine.process_scale(epsilon) == epsilon
    assert affine.process_scale(below) == 1
    assert affine.process_scale(-5.0) == 1
    assert affine.process_scale(2.0**23) == 2**23
    for unusable in (np.nextafter(np.float32(2.0**23), np.float32(np.inf)), np.inf, np.nan):
        with pytest.raises(QuantizationError, match="scale"):
            affine.process_scale(unusable)


def test_the_largest_scale_is_that_whose_reciprocal_is_the_smallest_scale() -> None:
    largest = np.float32(1 / affine.FLT_EPSILON)
    assert affine.process_scales(np.float32([largest])) == [largest]
    with pytest.raises(QuantizationError, match="at most 8388608"):
        affine.process_scales(np.float32([np.nextafter(largest, np.float32(np.inf))]))


@given(scales)
def test_quant_scale_is_the_nearest_float32_to_the_reciprocal(scale: float) -> None:
    assert Fraction(float(affine.quant_scale(scale))) == to_float32(1 / Fraction(scale))


@given(
    st.floats(0, 1, width=32),
    st.floats(-1, 0, width=32),
)
@example(float(np.float32(affine.FLT_EPSILON * 255)), 0.0)
@example(float(np.nextafter(np.float32(affine.FLT_EPSILON * 255), np.float32(0))), 0.0)
def test_bounds_below_the_smallest_scale_are_those_whose_scale_becomes_1(
    clip_max: float, clip_min: float
) -> None:
    scale, _ = affine.scale_offset(clip_max, clip_min)
    assert affine.is_below_smallest_scale(clip_max, clip_min) == (scale == 1)
