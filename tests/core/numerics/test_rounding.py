"""Rounding to integers, checked against exact rational arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from amct_core.numerics.rounding import half_away, half_away_integer

singles = st.floats(width=32, allow_nan=False, allow_infinity=False)
doubles = st.floats(allow_nan=False, allow_infinity=False)


def nearest_away(value: float) -> int:
    magnitude = math.floor(abs(Fraction(value)) + Fraction(1, 2))
    return magnitude if value >= 0 else -magnitude


@given(singles)
@example(0.49999997)
@example(-0.49999997)
@example(float(2**23 + 1))
@example(float(2**22) + 0.5)
@example(8388607.5)
@example(float(np.finfo(np.float32).max))
def test_half_away_is_the_nearest_float32_integer_with_halves_outward(value: float) -> None:
    x = np.array([value], np.float32)
    assert half_away(x)[0] == nearest_away(float(x[0]))
    assert half_away_integer(x[0]) == nearest_away(float(x[0]))


@given(doubles)
@example(0.49999999999999994)
@example(float(2**52 + 1))
def test_half_away_is_the_nearest_float64_integer_with_halves_outward(value: float) -> None:
    assert half_away(np.array([value]))[0] == nearest_away(value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_shape_and_the_sign_of_zero_are_kept(dtype: type) -> None:
    for shape in ((), (0,), (2, 3)):
        result = half_away(np.full(shape, -0.25, dtype))
        assert result.dtype == dtype
        assert result.shape == shape
        assert np.signbit(result).all()


def test_infinity_and_nan_pass_through() -> None:
    x = np.array([np.inf, -np.inf, np.nan], np.float32)
    np.testing.assert_array_equal(half_away(x), x)


def test_the_input_is_left_alone() -> None:
    x = np.array([0.5, 1.5], np.float32)
    half_away(x)
    np.testing.assert_array_equal(x, np.array([0.5, 1.5], np.float32))


def test_integers_are_not_taken_for_floats() -> None:
    with pytest.raises(TypeError, match="int64"):
        half_away(np.array([1], np.int64))  # type: ignore[type-var]
