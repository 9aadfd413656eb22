"""Into int8 and back: Quant and DeQuant, value by value, in both engines."""

from __future__ import annotations

from typing import Any, List

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amct_core.errors import QuantizationError
from plugins.cpu_sim_backend.tests.integers import plain
from plugins.cpu_sim_backend.tests.integers.drawing import OFFSETS, factors
from plugins.cpu_sim_backend.tests.integers.engines import every_engine
from plugins.cpu_sim_backend.tests.integers.one_quantized import (
    ACCUMULATOR,
    OUTPUT,
    run,
    simulator,
    word,
)

FLOATS = st.floats(-(2.0**100), 2.0**100, width=32)
SCALES = st.floats(2.0**-20, 2.0**20, width=32)
HALVES = st.integers(-300, 300).map(lambda number: number / 2)
INT32 = st.integers(-(2**31), 2**31 - 1) | st.integers(-(2**18), 2**18)


def quantized(engine: str, values: List[float], scale: float, offset: int) -> List[int]:
    """Return what a Quant makes of ``values``."""
    outputs = len(values)
    simulated = simulator(
        'type: "InnerProduct" inner_product_param { num_output: 1 bias_term: false }',
        (1, outputs),
        [np.zeros((1, outputs), np.int8)],
        [word(1.0)],
        engine,
        scale,
        offset,
    )
    q = simulated.run({"data": np.array([values], np.float32)}, ["q"])["q"]
    assert q.dtype == np.int8
    return [int(value) for value in q[0]]


def dequantized(engine: str, sums: List[int], scales: List[float], shift_n: List[int]) -> Any:
    """Return what a DeQuant makes of one accumulator per channel; here they are all bias."""
    channels = len(sums)
    simulated = simulator(
        f'type: "Convolution" convolution_param {{ num_output: {channels} kernel_size: 1 }}',
        (1, 1, 1, 1),
        [np.zeros((channels, 1, 1, 1), np.int8), np.array(sums, np.int32)],
        list(map(word, scales, shift_n)),
        engine,
    )
    found = run(simulated, np.zeros((1, 1, 1, 1), np.int8))
    assert found[ACCUMULATOR] == [[[[value]] for value in sums]]
    return [plane[0][0] for plane in found[OUTPUT][0]]


@settings(max_examples=100)
@given(values=st.lists(FLOATS, min_size=1, max_size=20), scale=SCALES, offset=OFFSETS)
def test_quant(values: List[float], scale: float, offset: int) -> None:
    expected = [plain.quantize(value, scale, offset) for value in values]
    for engine in every_engine():
        assert quantized(engine, values, scale, offset) == expected


@settings(max_examples=100)
@given(values=st.lists(HALVES, min_size=1, max_size=20), offset=OFFSETS)
def test_quant_at_ties(values: List[float], offset: int) -> None:
    expected = [plain.quantize(value, 1.0, offset) for value in values]
    for engine in every_engine():
        assert quantized(engine, values, 1.0, offset) == expected


@pytest.mark.parametrize(
    ("value", "offset", "expected"),
    [(0.5, 0, 0), (1.5, 0, 2), (-0.5, 0, 0), (0.5, 1, 2), (-0.5, 1, 0), (-1.5, -127, -128)],
)
def test_the_offset_is_added_before_a_tie_goes_to_the_even_integer(
    engine: str, value: float, offset: int, expected: int
) -> None:
    assert quantized(engine, [value], 1.0, offset) == [expected]


def test_quant_saturates_at_infinity(engine: str) -> None:
    assert quantized(engine, [np.inf, -np.inf, 3e38, -3e38], 100.0, 5) == [127, -128, 127, -128]


def test_quant_refuses_nan_and_names_the_layer(engine: str) -> None:
    with pytest.raises(QuantizationError, match="NaN") as caught:
        quantized(engine, [0.0, np.nan], 1.0, 0)
    assert caught.value.layer == "quant"


@settings(max_examples=100)
@given(data=st.data(), sums=st.lists(INT32, min_size=1, max_size=6))
def test_dequant(data: Any, sums: List[int]) -> None:
    scales, shift_n = factors(data.draw, len(sums))
    expected = list(map(plain.dequantize, sums, scales, shift_n))
    for engine in every_engine():
        assert dequantized(engine, sums, scales, shift_n) == expected


@pytest.mark.parametrize(
    ("accumulator", "shift_n", "expected"),
    [
        (5, 1, 4),
        (-1, 1, -2),
        (-3, 2, -4),
        (65535, 1, 65534),
        (65536, 1, 65534),
        (-65536, 1, -65536),
        (-65537, 1, -65536),
        (2**31 - 1, 16, 32767 * 2**16),
        (-(2**31), 16, -(2**31)),
        (-1, 16, -(2**16)),
    ],
)
def test_the_shift_rounds_down_and_saturates_at_int16(
    engine: str, accumulator: int, shift_n: int, expected: int
) -> None:
    assert dequantized(engine, [accumulator], [1.0], [shift_n]) == [expected]


def test_without_n_an_accumulator_goes_to_the_nearest_float32(engine: str) -> None:
    sums = [2**24 + 1, 2**24 + 3, -(2**24) - 1, 2**31 - 1]
    expected = [2**24, 2**24 + 4, -(2**24), 2**31]
    assert dequantized(engine, sums, [1.0] * 4, [0] * 4) == expected


def test_n_is_searched_for_all_channels_or_for_none(engine: str) -> None:
    with pytest.raises(QuantizationError, match="shift N of channel 1 is 0"):
        dequantized(engine, [1, 2], [1.0, 1.0], [3, 0])
