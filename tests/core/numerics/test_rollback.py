"""Weights and bias of layers that are turned back into float16."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from amct_core.numerics import rollback

SCALES = st.floats(2.0**-12, 4.0, width=32)


@given(
    q=arrays.arrays(np.int8, (3, 2, 2), elements=st.integers(-128, 127)),
    scales=st.lists(SCALES, min_size=3, max_size=3),
    quant_scale=st.floats(0.25, 64.0, width=32),
)
def test_weights_are_the_integers_times_scale_w(q: Any, scales: Any, quant_scale: float) -> None:
    deq_scale = np.array(scales, np.float32)
    found = rollback.weights(q, deq_scale, quant_scale, 0)
    assert found.dtype == np.float32
    for channel, scale in enumerate(deq_scale):
        expected = np.float64(scale) * quant_scale * q[channel]
        # float16: 11 bits; two float32 products before it.
        np.testing.assert_allclose(found[channel], expected, rtol=2.0**-11 + 2.0**-22, atol=2**-25)
    np.testing.assert_array_equal(found, found.astype(np.float16).astype(np.float32))


def test_scales_lie_along_the_channel_axis() -> None:
    q = np.ones((2, 3, 1, 1), np.int8)
    found = rollback.weights(q, np.array([1, 2, 4], np.float32), 1.0, 1)
    assert found[:, :, 0, 0].tolist() == [[1, 2, 4], [1, 2, 4]]
    assert rollback.weights(q, np.array([0.5], np.float32), 4.0, None).max() == 2


@given(q=st.integers(-(2**20), 2**20), scale=st.floats(2.0**-20, 2.0**-6, width=32))
def test_a_bias_is_the_integer_times_deq_scale(q: int, scale: float) -> None:
    (found,) = rollback.bias(np.array([q], np.int32), np.array([scale], np.float32))
    # numpy's own float16 of a product in double, which is exact: 21 + 24 bits.
    once = np.float16(np.float64(q) * np.float64(np.float32(scale)))
    assert abs(float(found) - float(once)) <= float(np.spacing(np.abs(once)))
    assert found == np.float32(np.float16(np.float32(q) * np.float32(scale)))


def test_a_bias_beyond_float16_saturates() -> None:
    found = rollback.bias(np.array([2**30, -(2**30)], np.int32), np.array([1.0], np.float32))
    assert found.tolist() == [65504, -65504]
