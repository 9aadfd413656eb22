"""int32 bias, checked in exact arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from amct_core.errors import QuantizationError
from amct_core.numerics import affine, bias


@given(st.floats(-1e3, 1e3, width=32), st.floats(2.0**-15, 1.0, width=32))
def test_the_bias_is_the_nearest_number_of_steps(value: float, deq_scale: float) -> None:
    exact = Fraction(value) / Fraction(deq_scale)
    # float64 division cannot tell a quotient this close to a half from the half itself.
    distance = abs(exact - round(exact - Fraction(1, 2)) - Fraction(1, 2))
    assume(distance == 0 or distance > 2.0**-20)
    q = bias.quantize(np.array([value], np.float32), np.array([deq_scale], np.float32))
    assert q.dtype == np.int32
    assert q[0] == round(exact)


def test_halves_go_to_the_even_integer() -> None:
    values = np.array([0.25, 0.75, 1.25, -0.25, -0.75, 12.3456], np.float32)
    assert bias.quantize(values, np.array([0.5], np.float32)).tolist() == [0, 2, 2, 0, -2, 25]


def test_each_channel_has_its_own_step() -> None:
    values = np.array([1.0, 1.0, -3.0], np.float32)
    assert bias.quantize(values, np.array([0.5, 0.25, 1.5], np.float32)).tolist() == [2, 4, -2]


def test_the_whole_of_int32_is_used() -> None:
    one = np.ones(1, np.float32)
    lowest = np.array([-(2.0**31)], np.float32)
    highest = np.array([2.0**31 - 128], np.float32)
    assert bias.quantize(lowest, one).tolist() == [-(2**31)]
    assert bias.quantize(highest, one).tolist() == [2**31 - 128]


@pytest.mark.parametrize("value", [2.0**31, -(2.0**31) - 256, np.inf, -np.inf, np.nan])
def test_what_does_not_fit_int32_is_an_error_that_names_channel_and_layer(value: float) -> None:
    values = np.array([0.0, value, 1.0], np.float32)
    with pytest.raises(QuantizationError, match="channel 1") as caught:
        bias.quantize(values, np.ones(1, np.float32), layer="fc")
    assert caught.value.layer == "fc"


@given(
    st.lists(st.floats(-(2.0**99), 2.0**99, width=32), min_size=1, max_size=4),
    st.floats(2.0**-20, 2.0**10, width=32),
)
def test_below_the_smallest_scale_a_bias_does_not_fit_and_above_it_does(
    values: list[float], scale_w: float
) -> None:
    biases, weight_scale = np.array(values, np.float32), np.array([scale_w], np.float32)
    found = bias.smallest_scale(biases, weight_scale)
    edge = found.value if found is not None else affine.FLT_EPSILON
    fitting = np.float32(edge * 1.001) * weight_scale
    assume(np.isfinite(fitting).all())
    bias.quantize(biases, fitting)
    if found is not None:
        with pytest.raises(QuantizationError, match=f"channels? .*{found.channel}"):
            bias.quantize(biases, np.float32(edge * 0.999) * weight_scale)


def test_the_smallest_scale_names_the_channel_that_decides() -> None:
    biases = np.array([0.1, -3e5, 2e5], np.float32)
    scale_w = np.array([1e-3, 1e-2, 1e-4], np.float32)
    found = bias.smallest_scale(biases, scale_w)
    assert found is not None and found.channel == 2
    assert found.value == pytest.approx(2e9 / (2**31 - 1))
    assert bias.smallest_scale(biases[:1], scale_w[:1]) is None


@pytest.mark.parametrize(("value", "reachable"), [(1e12, True), (1e30, False)])
def test_a_bias_may_be_larger_than_any_scale_can_hold(value: float, reachable: bool) -> None:
    found = bias.smallest_scale(np.array([value], np.float32), np.array([0.01], np.float32))
    assert found is not None and found.is_out_of_reach is not reachable
