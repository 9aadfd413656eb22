"""A fused multiply-add against exact rational arithmetic."""

from __future__ import annotations

from fractions import Fraction
from typing import Optional

import numpy as np
from hypothesis import assume, example, given
from hypothesis import strategies as st

from amct_core.numerics.fused import multiply_add

LARGEST = Fraction(float(np.finfo(np.float32).max))
SMALLEST = Fraction(1, 2**149)
"""The smallest float32 above 0; below 2**-126 all of them are multiples of it."""

any_float32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


def nearest_float32(exact: Fraction) -> Optional[float]:
    """Return the float32 nearest to ``exact``, ties to even; None beyond the largest one."""
    magnitude, step = abs(exact), SMALLEST
    while magnitude >= step * 2**24:
        step *= 2
    rounded = round(magnitude / step) * step  # Python rounds ties to even
    return None if rounded > LARGEST else float(rounded if exact >= 0 else -rounded)


@given(any_float32, any_float32, any_float32)
@example(2.0**-24 * (1 + 2.0**-23), 1 - 2.0**-23, 1 + 2.0**-23)
@example(2.0**-70, 2.0**-70, 2.0**-140)
@example(2.0**-75, -(2.0**-75), 2.0**-149)
def test_it_is_the_exact_result_rounded_once(factor: float, x: float, y: float) -> None:
    expected = nearest_float32(Fraction(factor) * Fraction(x) + Fraction(y))
    assume(expected is not None)
    found = multiply_add(factor, np.array([x], np.float32), np.array([y], np.float32))
    assert found.dtype == np.float32
    assert found[0] == expected
