"""deq_scale cut to 19 bits, and words without N."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Callable, Dict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from amct_core.numerics import dequant, fixpipe

Read = Callable[[str], Dict[str, Any]]

SCALES = st.floats(2.0**-100, 2.0**100, width=32)
SHIFTS = st.integers(0, 16)


def cut_by_arithmetic(scale: float) -> Fraction:
    """Return ``scale`` cut to 11 significant bits, toward zero."""
    exact = Fraction(scale)
    step = Fraction(1)
    while exact / step >= 2**11:
        step *= 2
    while exact / step < 2**10:
        step /= 2
    return exact // step * step


@given(scale=SCALES, n=SHIFTS)
def test_ten_bits_of_the_mantissa_are_left_and_n_stays(scale: float, n: int) -> None:
    found, shift_n, offset_w = dequant.unpack(fixpipe.cut(dequant.pack(scale, n)))
    assert Fraction(float(found)) == cut_by_arithmetic(scale)
    assert (int(shift_n), int(offset_w)) == (n, 0)


@given(scale=SCALES, n=SHIFTS)
def test_a_cut_word_stays_as_it_is(scale: float, n: int) -> None:
    once = fixpipe.cut(dequant.pack(scale, n))
    assert np.array_equal(fixpipe.cut(once), once)


def test_cut_equals_the_reference_library(reference_vectors: Read) -> None:
    cases = reference_vectors("hfmg_dmq_wulq_cast_libquant")["cases"]
    (casts,) = (case for case in cases if case["name"] == "casts")
    pairs = [(x, y) for x, y in zip(casts["in"], casts["CastToS19"]) if x > 0]
    # The vectors' inputs are those that the library cuts and those that it rounds to float16 first.
    x, expected = np.array(pairs, np.float32).T
    found, _, _ = dequant.unpack(fixpipe.cut(dequant.pack(x, 0)))
    np.testing.assert_array_equal(found, expected)


def test_cut_equals_the_vectors_derived_from_the_formulas(reference_vectors: Read) -> None:
    for case in reference_vectors("derived_from_formulas")["deq_scale_pack"]:
        found, shift_n, _ = dequant.unpack(fixpipe.cut(np.uint64(case["uint64"])))
        assert float(found) == case["S19_float"]
        assert int(shift_n) == case["N"]


@given(scale=SCALES, n=SHIFTS)
def test_without_shift_the_scale_stays_and_n_is_0(scale: float, n: int) -> None:
    found, shift_n, _ = dequant.unpack(dequant.without_shift(dequant.pack(scale, n)))
    assert (float(found), int(shift_n)) == (scale, 0)
