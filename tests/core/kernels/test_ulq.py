"""ULQ in place and compiled, beside its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from amct_core.errors import QuantizationError
from amct_core.kernels import threads
from amct_core.kernels import ulq as kernel
from amct_core.numerics import affine, ulq
from tests.core.kernels.drawn import LARGEST, SMALLEST, arrays, same_bits

pytest.importorskip("numba")

INFINITY = float("inf")
EXTREME = (INFINITY, -INFINITY, LARGEST, -LARGEST, SMALLEST, -SMALLEST, 2.0**-126)
BOUNDS = st.tuples(
    st.floats(0, 100, width=32) | st.sampled_from([1e-3, 255.0, 127.5, 3e5]),
    st.floats(-100, 0, width=32) | st.sampled_from([-1e-3, -255.0, -128.0, 0.0]),
)


@given(x=arrays(EXTREME), bounds=BOUNDS, fixed_min=st.booleans())
def test_forward_is_the_definition_bit_for_bit(
    x: np.ndarray, bounds: tuple[float, float], fixed_min: bool
) -> None:
    expected, scale, offset = ulq.forward(x, *bounds, fixed_min)
    y = np.full(x.shape, np.nan, np.float32)
    assert kernel.forward_into(x, y, *bounds, fixed_min) == (scale, offset)
    same_bits(y, expected)


@pytest.mark.parametrize("clip_min", [0.0, -127.0, -128.0, -255.0])
def test_halves_go_to_the_even_integer_with_odd_and_even_offsets(clip_min: float) -> None:
    halves = np.arange(-1200, 1200, dtype=np.float32) / 4
    x = np.concatenate(
        [halves, np.nextafter(halves, np.float32(9e9)), np.nextafter(halves, -halves)]
    )
    clip_max = clip_min + 255
    assert affine.scale_offset(clip_max, clip_min) == (1, -128 - int(clip_min))
    y = np.empty_like(x)
    kernel.forward_into(x, y, clip_max, clip_min)
    same_bits(y, ulq.forward(x, clip_max, clip_min)[0])


def test_a_nan_is_refused_in_the_words_of_the_definition() -> None:
    x = np.zeros((3, 700), np.float32)
    x[1, 123] = np.nan
    with pytest.raises(QuantizationError) as expected:
        ulq.forward(x, 1, -1)
    with pytest.raises(QuantizationError) as found:
        kernel.forward_into(x, np.empty_like(x), 1, -1)
    assert str(found.value) == str(expected.value)


@given(x=arrays(EXTREME), seed=st.integers(0, 2**16), bounds=BOUNDS, fixed_min=st.booleans())
@example(x=np.float32([[1e29]]), seed=0, bounds=(2.0**-141, 0.0), fixed_min=False)
def test_gradients_are_those_of_the_definition(
    x: np.ndarray, seed: int, bounds: tuple[float, float], fixed_min: bool
) -> None:
    g = np.random.default_rng(seed).normal(0.1, 1, x.shape).astype(np.float32)
    if bounds[0] == (0 if fixed_min else bounds[1]):
        with pytest.raises(QuantizationError, match="expected clip_max > clip_min"):
            kernel.backward_into(x, g, None, *bounds, fixed_min)
        return
    bottom_diff, *expected = ulq.backward(x, g, *bounds, fixed_min)
    out = np.full(x.shape, np.nan, np.float32)
    found = kernel.backward_into(x, g, out, *bounds, fixed_min)
    same_bits(out, bottom_diff)
    # Relative to what is added up: where terms of both signs cancel, their order shows.
    largest = float(np.abs(g, dtype=np.float64).sum())
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12 * largest)
    np.testing.assert_array_equal(kernel.backward_into(x, g, None, *bounds, fixed_min), found)


def test_infinite_and_nan_gradients_go_where_the_definition_sends_them() -> None:
    x = np.float32([[0.3, 5, -5, 0.4, 7]] * 1000)
    for place, value in ((0, np.inf), (1, np.inf), (2, -np.inf), (3, np.nan), (4, np.nan)):
        g = np.ones_like(x)
        g[500, place] = value
        with np.errstate(invalid="ignore"):
            bottom_diff, *expected = ulq.backward(x, g, 1, -1)
        out = np.empty_like(x)
        np.testing.assert_allclose(kernel.backward_into(x, g, out, 1, -1), expected, rtol=1e-6)
        np.testing.assert_array_equal(out, bottom_diff)


def test_shapes_must_agree() -> None:
    x = np.ones((2, 3), np.float32)
    with pytest.raises(QuantizationError, match="expected the same"):
        kernel.backward_into(x, x.T, None, 1, -1)


def test_results_go_into_contiguous_memory_only() -> None:
    x = np.ones((4, 3), np.float32)
    with pytest.raises(QuantizationError, match="C-contiguous"):
        kernel.forward_into(x, np.empty((3, 4), np.float32).T, 1, -1)


def test_results_do_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(5)
    x, g = generator.normal(0, 1, (2, 1_300_001)).astype(np.float32)
    results = []
    for count in (1, 2, 3, 7):
        monkeypatch.setattr(threads, "_default_threads", lambda count=count: count)
        y, bottom_diff = np.empty_like(x), np.empty_like(x)
        kernel.forward_into(x, y, 1.5, -0.7)
        gradients = kernel.backward_into(x, g, bottom_diff, 1.5, -0.7)
        results.append((y.tobytes(), bottom_diff.tobytes(), gradients))
    assert all(result == results[0] for result in results)


def test_without_numba_the_definition_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "load", lambda name: None)
    x, g = np.random.default_rng(6).normal(0, 1, (2, 3, 50)).astype(np.float32)
    y, bottom_diff = np.empty_like(x), np.empty_like(x)
    expected, scale, offset = ulq.forward(x, 1, -1)
    assert kernel.forward_into(x, y, 1, -1) == (scale, offset)
    same_bits(y, expected)
    expected, *gradients = ulq.backward(x, g, 1, -1)
    assert kernel.backward_into(x, g, bottom_diff, 1, -1) == tuple(gradients)
    same_bits(bottom_diff, expected)
