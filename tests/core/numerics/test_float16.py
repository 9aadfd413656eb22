"""float16 and the Quant that computes in it, against exact rational arithmetic and vectors."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Callable, Dict

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from amct_core.errors import QuantizationError
from amct_core.numerics import affine, float16

Read = Callable[[str], Dict[str, Any]]

FLOATS = st.floats(-(2.0**20), 2.0**20, width=32)
SCALES = st.floats(2.0**-30, 2.0**24, width=32)
OFFSETS = st.integers(-128, 127)


def nearest(value: Fraction) -> Fraction:
    """Return the float16 nearest to ``value``, the even one of two; saturates."""
    if value == 0:
        return value
    size = abs(value)
    exponent = max(math.floor(math.log2(size)), -14)
    while Fraction(2) ** exponent > size and exponent > -14:
        exponent -= 1
    while Fraction(2) ** (exponent + 1) <= size:
        exponent += 1
    step = Fraction(2) ** (exponent - 10)
    # round() of a Fraction goes to the even integer at a tie.
    rounded = min(round(size / step) * step, Fraction(65504))
    return rounded if value > 0 else -rounded


def plainly_quantized(x: float, scale: float, offset: int) -> int:
    """Return the int8 of one number, every operation exact and rounded once."""
    steps = nearest(Fraction(x))
    if Fraction(scale) >= Fraction(1, 2**14):
        factors = [Fraction(scale)]
    else:
        factors = [Fraction(float(np.sqrt(np.float32(scale))))] * 2
    for factor in factors:
        steps = nearest(steps * nearest(factor))
    steps = nearest(steps + offset)
    return max(-128, min(127, round(steps)))


@given(x=st.floats(width=32, allow_nan=False, allow_infinity=False))
@example(x=65519.0)
@example(x=65520.0)
@example(x=2.0**-25)
@example(x=1.5 * 2.0**-24)
@example(x=2049.0)
def test_rounding_is_to_the_nearest_float16(x: float) -> None:
    assert Fraction(float(float16.rounded(x))) == nearest(Fraction(x))


def test_infinity_saturates_and_nan_stays() -> None:
    found = float16.rounded([np.inf, -np.inf, np.nan])
    assert found.dtype == np.float32
    assert found[:2].tolist() == [65504.0, -65504.0]
    assert np.isnan(found[2])


def test_rounding_equals_the_reference_library_on_normal_numbers(reference_vectors: Read) -> None:
    cases = reference_vectors("hfmg_dmq_wulq_cast_libquant")["cases"]
    (casts,) = (case for case in cases if case["name"] == "casts")
    x = np.array(casts["in"], np.float32)
    expected = np.array(casts["CastToFP16Precision"], np.float32)
    normal = (np.abs(x) >= float16.SMALLEST_NORMAL) | (x == 0)
    assert normal.sum() >= 14
    np.testing.assert_array_equal(float16.rounded(x[normal]), expected[normal])
    # Below, the library keeps 10 bits of the mantissa, which float16 does not have.
    assert not np.array_equal(float16.rounded(x[~normal]), expected[~normal])
    assert np.abs(float16.rounded(x[~normal]) - expected[~normal]).max() <= 2.0**-25


@given(x=FLOATS, scale=SCALES, offset=OFFSETS)
@example(x=1000.0, scale=1e-5, offset=0)
@example(x=0.001, scale=1e5, offset=-128)
def test_quantize_is_every_operation_rounded_once(x: float, scale: float, offset: int) -> None:
    assert int(float16.quantize(x, scale, offset)) == plainly_quantized(x, scale, offset)


@given(
    step=st.integers(-(2**12), 2**12),
    offset=OFFSETS,
    scale=st.sampled_from([0.5, 1.0, 2.0]),
)
def test_quantize_at_ties(step: int, offset: int, scale: float) -> None:
    x = step / 16
    assert int(float16.quantize(x, scale, offset)) == plainly_quantized(x, scale, offset)


def test_quantize_equals_the_vectors_derived_from_the_formulas(reference_vectors: Read) -> None:
    for case in reference_vectors("derived_from_formulas")["ascend_quant"]:
        found = float16.quantize(
            np.array(case["x"], np.float32), case["quant_scale_attr(1/scale_d)"], case["offset"]
        )
        assert found.dtype == np.int8
        assert found.tolist() == case["int8_tbe_fp16_path"]


@given(x=st.lists(st.floats(-8, 8, width=32), min_size=1, max_size=50), offset=OFFSETS)
def test_within_the_range_it_is_off_by_one_at_most(x: list[float], offset: int) -> None:
    # Up to 8 * 16 = 128 steps, float16 has a spacing of 1/16 and less.
    exact = affine.quantize(x, 16 / 1.01, offset).astype(int)
    found = float16.quantize(x, 16 / 1.01, offset).astype(int)
    assert np.abs(found - exact).max() <= 1


def test_it_does_differ_from_float32() -> None:
    x = np.linspace(-4, 4, 4001, dtype=np.float32)
    assert (float16.quantize(x, 31.3, 3) != affine.quantize(x, 31.3, 3)).any()


@pytest.mark.parametrize(
    ("x", "scale", "offset"), [(np.nan, 1.0, 0), (1.0, 0.0, 0), (1.0, np.inf, 0), (1.0, 1.0, 128)]
)
def test_what_float32_refuses_is_refused(x: float, scale: float, offset: int) -> None:
    with pytest.raises(QuantizationError):
        float16.quantize([x], scale, offset)
