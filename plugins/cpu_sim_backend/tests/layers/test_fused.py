"""Fused multiply-add rounds once, as the C library's does."""

from __future__ import annotations

import ctypes
import ctypes.util

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from amct_core.numerics.fused import multiply_add

_LIBM = ctypes.CDLL(ctypes.util.find_library("m"))
_LIBM.fmaf.restype = ctypes.c_float
_LIBM.fmaf.argtypes = [ctypes.c_float] * 3

# Within these bounds nothing overflows or is subnormal.
_numbers = st.floats(2.0**-20, 2.0**20, width=32).flatmap(lambda x: st.sampled_from([x, -x]))


@given(_numbers, _numbers, _numbers)
@example(1.0, 1.0, 2.0)
@example(-1.0, 3.0, 3.0)
def test_multiply_add_is_the_one_of_libm(factor: float, x: float, y: float) -> None:
    found = multiply_add(factor, np.array([x], np.float32), np.array([y], np.float32))
    assert found.dtype == np.float32
    assert found[0] == _LIBM.fmaf(factor, x, y)


def test_multiply_add_does_not_round_twice() -> None:
    # The sum is 2**-70 below the middle of two float32, which float64 takes for the middle.
    factor, x = 2.0**-24 * (1 + 2.0**-23), np.array([1 - 2.0**-23], np.float32)
    y = np.array([1 + 2.0**-23], np.float32)
    assert (x.astype(np.float64) * factor + y).astype(np.float32)[0] == np.float32(1 + 2.0**-22)
    assert multiply_add(factor, x, y)[0] == y[0]
