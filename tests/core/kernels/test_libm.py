"""The C library's functions over arrays give what it gives value by value."""

from __future__ import annotations

import math
from typing import Any, Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from amct_core.kernels import libm as kernel
from amct_core.numerics import libm

singles = arrays(np.float32, array_shapes(max_dims=3, max_side=6), elements=st.floats(width=32))
doubles = arrays(np.float64, array_shapes(max_dims=2, max_side=6), elements=st.floats(width=64))
exponents = st.sampled_from([-0.75, -0.5, 0.0, 1.0, 2.0, 3.3])


def assert_same_bits(found: Any, expected: Any) -> None:
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)  # NaN equals NaN here
    np.testing.assert_array_equal(
        np.signbit(found[~np.isnan(found)]), np.signbit(expected[~np.isnan(found)])
    )


@given(singles, exponents)
def test_powf_gives_what_the_definition_gives(x: Any, exponent: float) -> None:
    assert_same_bits(kernel.powf(x, exponent), libm.powf(x, exponent))


@given(singles)
def test_tanhf_gives_what_the_definition_gives(x: Any) -> None:
    assert_same_bits(kernel.tanhf(x), libm.tanhf(x))


@given(doubles)
def test_tanh_gives_what_the_definition_gives(x: Any) -> None:
    assert_same_bits(kernel.tanh(x), libm.tanh(x))


def test_many_values_shared_out_over_threads_are_the_same() -> None:
    x = np.random.default_rng(1).normal(0, 3, (7, 5001)).astype(np.float32)
    assert_same_bits(kernel.tanhf(x), libm.tanhf(x))
    assert_same_bits(kernel.tanhf(x.T), libm.tanhf(x).T)


@given(doubles)
def test_tanh_is_the_one_that_python_calls(x: Any) -> None:
    expected = np.array([math.tanh(value) for value in x.flat]).reshape(x.shape)
    assert_same_bits(libm.tanh(x), expected)


@pytest.mark.parametrize(
    ("function", "exact", "units"),
    [(lambda x: libm.powf(x, -0.75), lambda x: x**-0.75, 1), (libm.tanhf, np.tanh, 2)],
)
def test_singles_are_as_near_to_the_exact_result_as_glibc_says(
    function: Callable[[Any], Any], exact: Callable[[Any], Any], units: int
) -> None:
    # The GNU C Library's manual, "Known Maximum Errors in Math Functions".
    x = np.random.default_rng(1).uniform(0.01, 9, 5000).astype(np.float32)
    expected = exact(x.astype(np.float64))
    unit = np.spacing(expected.astype(np.float32)).astype(np.float64)
    assert (np.abs(function(x) - expected) <= (units + 0.5) * unit).all()


def test_without_numba_the_definition_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "load", lambda name: None)
    x = np.float32([[0.5, -2.0]])
    assert_same_bits(kernel.tanhf(x), libm.tanhf(x))
    assert_same_bits(kernel.powf(x, 2), libm.powf(x, 2))


def test_without_a_c_library_numpys_functions_are_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libm, "function", lambda name: None)
    x = np.float32([[0.5, 2.0]])
    assert_same_bits(kernel.tanhf(x), np.tanh(x.astype(np.float64)).astype(np.float32))
    assert_same_bits(kernel.powf(x, -0.5), (x.astype(np.float64) ** -0.5).astype(np.float32))
    assert_same_bits(kernel.tanh(x.astype(np.float64)), np.tanh(x.astype(np.float64)))
