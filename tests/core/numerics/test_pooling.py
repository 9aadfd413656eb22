"""AVE Pooling in integers: Caffe's windows, and the way back from its averages."""

from __future__ import annotations

from typing import List, Tuple

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from amct_core.errors import ModelError, QuantizationError
from amct_core.numerics import pooling

Pair = Tuple[int, int]
pairs = st.tuples(st.integers(1, 5), st.integers(1, 5))
pads = st.tuples(st.integers(0, 2), st.integers(0, 2))


def windows(size: int, kernel: int, stride: int, pad: int, ceil_mode: bool) -> List[range]:
    """The windows of one axis, laid one after the other over the padded input.

    Positions of the input are 0..size-1.  A further window is laid as long as its predecessor left
    any of the input or padding uncovered (ceil) or it fits as a whole (floor).
    """
    result = []
    start = -pad
    while True:
        result.append(range(start, min(start + kernel, size + pad)))
        left_over = size + pad - (start + kernel)
        if left_over < (1 if ceil_mode else stride):
            return result
        start += stride


@given(st.integers(1, 12), st.integers(1, 12), pairs, pairs, pads, st.booleans())
def test_windows_are_caffe_s(
    height: int, width: int, kernel: Pair, stride: Pair, pad: Pair, ceil_mode: bool
) -> None:
    assume(all(p < k for p, k in zip(pad, kernel)))  # Caffe insists on it
    assume(all(s <= k for s, k in zip(stride, kernel)))  # else a window may lie outside
    assume(height + 2 * pad[0] >= kernel[0] and width + 2 * pad[1] >= kernel[1])
    axes = [
        windows(size, k, s, p, ceil_mode)
        for size, k, s, p in zip((height, width), kernel, stride, pad)
    ]
    if any(pad):  # a last window that starts in the far padding is dropped
        axes = [
            [window for i, window in enumerate(axis) if window.start + p < size + p or i == 0]
            if axis[-1].start >= size
            else axis
            for axis, size, p in zip(axes, (height, width), pad)
        ]
    expected = [[len(rows) * len(columns) for columns in axes[1]] for rows in axes[0]]
    areas = pooling.window_areas(height, width, kernel, stride, pad, ceil_mode)
    assert areas.tolist() == expected
    assert pooling.output_size(height, width, kernel, stride, pad, ceil_mode) == areas.shape


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pad", "output", "areas"),
    [
        (24, 2, 2, 0, 12, {4}),  # LeNet
        (32, 3, 2, 0, 16, {9, 6, 4}),  # CIFAR-10: the last window sticks out
        (8, 3, 2, 1, 5, {9, 6, 4}),  # without the far padding's end it would be 9 everywhere
        (7, 3, 1, 1, 7, {9}),  # padding counts
    ],
)
def test_known_layers(
    size: int, kernel: int, stride: int, pad: int, output: int, areas: set[int]
) -> None:
    found = pooling.window_areas(size, size, (kernel,) * 2, (stride,) * 2, (pad,) * 2)
    assert found.shape == (output, output)
    assert set(found.ravel().tolist()) == areas


def test_floor_mode_leaves_out_what_does_not_fit() -> None:
    assert pooling.output_size(32, 32, (3, 3), (2, 2), (0, 0), ceil_mode=False) == (15, 15)


def test_a_kernel_larger_than_its_input_is_an_error() -> None:
    with pytest.raises(ModelError, match="kernel of 4"):
        pooling.output_size(3, 9, (4, 4), (1, 1), (0, 0))


def test_a_window_outside_of_its_input_is_an_error() -> None:
    with pytest.raises(ModelError, match="outside"):
        pooling.output_size(5, 5, (1, 1), (3, 3), (0, 0))


def caffe_averages(sums: NDArray[np.int64], areas: NDArray[np.int64]) -> NDArray[np.float32]:
    return sums.astype(np.float32) / areas.astype(np.float32)


@given(st.integers(1, pooling.MAX_WINDOW), st.integers(0, 2**32 - 1))
def test_sums_are_recovered_from_float32_averages(area: int, seed: int) -> None:
    sums = np.random.default_rng(seed).integers(-255 * area, 255 * area + 1, (4, 2, 2))
    sums[0, 0, 0], sums[0, 0, 1] = 255 * area, -255 * area
    areas = np.full((2, 2), area, np.int64)
    recovered = pooling.integer_sums(caffe_averages(sums, areas), areas)
    assert recovered.dtype == np.int32
    np.testing.assert_array_equal(recovered, sums)


def test_a_window_too_large_to_recover_is_an_error() -> None:
    areas = np.array([[pooling.MAX_WINDOW + 1]])
    with pytest.raises(QuantizationError, match=str(pooling.MAX_WINDOW)):
        pooling.integer_sums(np.zeros((1, 1), np.float32), areas)


def test_deq_scale_holds_the_whole_window() -> None:
    assert pooling.deq_scale(0.9, (2, 3)) == np.float32(np.float32(0.9) / np.float32(6))


def test_outputs_are_averages_over_the_true_area_rounded_step_by_step() -> None:
    areas = pooling.window_areas(32, 32, (3, 3), (2, 2), (0, 0))
    sums = np.random.default_rng(8).integers(0, 255 * 4, (2, 3, 16, 16))
    deq = pooling.deq_scale(0.0731, (3, 3))
    result = pooling.dequantize_sum(sums, deq, areas, (3, 3))
    assert result.dtype == np.float32
    full = areas == 9
    assert 0 < full.sum() < full.size
    np.testing.assert_array_equal(
        result[..., full], sums[..., full].astype(np.float32) * np.float32(deq)
    )
    for area in (6, 4):
        clipped = areas == area
        plain = sums[..., clipped].astype(np.float32) * np.float32(deq)
        np.testing.assert_array_equal(result[..., clipped], plain * np.float32(9 / area))
    np.testing.assert_allclose(result, sums * 0.0731 / areas, rtol=1e-6)
