"""ARQ weights: the reference library's numbers, and the rules behind them."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from amct_core.errors import QuantizationError
from amct_core.numerics import arq
from amct_core.weight_quantization import IntegerWeights

Cases = Callable[[str], List[Dict[str, Any]]]

weights = arrays(
    np.float32, st.tuples(*[st.integers(1, 4)] * 4), elements=st.floats(-1e3, 1e3, width=32)
)


def without_offset(cases: Cases) -> List[Dict[str, Any]]:
    return [case for case in cases("arq") if case.get("with_offset") is False]


def test_scales_and_integers_equal_the_reference_library(cases: Cases) -> None:
    compared = without_offset(cases)
    assert [case["name"] for case in compared] == ["mixed_7ch", "mixed_tensor"]
    for case in compared:
        master = np.array(case["input"], np.float32).reshape(case["channels"], -1)
        axis = 0 if case["channels"] > 1 else None
        scale = arq.scales(master, axis)
        np.testing.assert_array_equal(scale, np.array(case["scale"], np.float32))
        q = arq.quantize(master, scale, axis)
        np.testing.assert_array_equal(q.ravel(), np.array(case["int8"], np.int8))
        fake = IntegerWeights(q, scale, np.ones(1, np.float32), 0).fake_quantized()
        np.testing.assert_array_equal(fake.ravel(), np.array(case["fake_quant"], np.float32))


def test_the_largest_scales_are_accepted_and_rejected_as_in_the_reference_library(
    cases: Cases,
) -> None:
    accepted, rejected = (case for case in cases("arq") if "with_offset" not in case)
    assert accepted["ret"] == [0]
    np.testing.assert_array_equal(
        arq.scales(np.array(accepted["input"], np.float32)),
        np.array(accepted["scale"], np.float32),
    )
    assert rejected["ret"] != [0]
    with pytest.raises(QuantizationError, match="15748031"):
        arq.scales(np.array(rejected["input"], np.float32))


def test_a_tie_of_magnitudes_divides_by_128() -> None:
    assert arq.scales(np.array([1, -1], np.float32)).tolist() == [1 / 128]
    assert arq.quantize(
        np.array([1, -1], np.float32), np.array([1 / 128], np.float32)
    ).tolist() == [
        127,
        -128,
    ]


@pytest.mark.parametrize(("value", "scale", "integer"), [(254.0, 2.0, 127), (-256.0, 2.0, -128)])
def test_a_channel_of_equal_weights_uses_the_end_of_the_range_on_its_side(
    value: float, scale: float, integer: int
) -> None:
    master = np.full((1, 3), value, np.float32)
    assert arq.scales(master, 0).tolist() == [scale]
    assert arq.quantize(master, arq.scales(master, 0), 0).tolist() == [[integer] * 3]


def test_a_dead_channel_gets_scale_1_and_zeros() -> None:
    master = np.array([[0, 0], [1e-9, -2e-8], [127, 1]], np.float32)
    scale = arq.scales(master, 0)
    assert scale.tolist() == [1, 1, 1]
    assert arq.quantize(master, scale, 0).tolist() == [[0, 0], [0, 0], [127, 1]]


def test_halves_are_rounded_away_from_zero() -> None:
    q = arq.quantize(np.array([0.5, -0.5, 1.5, -1.5, 2.5], np.float32), np.ones(1, np.float32))
    assert q.tolist() == [1, -1, 2, -2, 3]


@given(weights)
def test_deconvolution_is_convolution_with_its_first_axes_swapped(
    master: NDArray[np.float32],
) -> None:
    swapped = np.swapaxes(master, 0, 1)
    scale = arq.scales(master, 1)
    assert scale.shape == (master.shape[1],)
    np.testing.assert_array_equal(scale, arq.scales(swapped, 0))
    np.testing.assert_array_equal(
        arq.quantize(master, scale, 1), np.swapaxes(arq.quantize(swapped, scale, 0), 0, 1)
    )


@given(weights)
def test_channels_are_independent_of_each_other(master: NDArray[np.float32]) -> None:
    scale = arq.scales(master, 0)
    alone = np.concatenate([arq.scales(channel) for channel in master])
    np.testing.assert_array_equal(scale, alone)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_errors_that_name_the_channel(value: float) -> None:
    master = np.ones((3, 2), np.float32)
    master[1, 0] = value
    with pytest.raises(QuantizationError, match="channel 1"):
        arq.scales(master, 0)
    with pytest.raises(QuantizationError, match="NaN or infinite"):
        arq.scales(master)


def test_nan_weights_are_not_quantized() -> None:
    with pytest.raises(QuantizationError, match="NaN"):
        arq.quantize(np.array([np.nan], np.float32), np.ones(1, np.float32))


def test_scales_that_do_not_fit_the_weights_are_an_error() -> None:
    master = np.ones((3, 2), np.float32)
    with pytest.raises(QuantizationError, match="per channel"):
        arq.quantize(master, np.ones(2, np.float32), 0)
    with pytest.raises(QuantizationError, match="expected 1"):
        arq.quantize(master, np.ones(3, np.float32))


def test_no_weights_are_an_error() -> None:
    with pytest.raises(QuantizationError, match="hold no values"):
        arq.scales(np.zeros((0, 3), np.float32), 0)
