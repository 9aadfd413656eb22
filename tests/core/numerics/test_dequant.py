"""The DeQuant word and arithmetic, checked with struct and Python integers."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Any, List, Tuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amct_core.errors import QuantizationError
from amct_core.numerics import dequant

deq_scales = st.floats(2.0**-60, 2.0**20, width=32)
shifts = st.integers(0, 16)
int32s = st.integers(-(2**31), 2**31 - 1)

# Words by the documented layout; scales and float bits from a real record where they look odd.
WORDS: List[Tuple[float, int, int, int]] = [
    (0.0004492337757255882, 0, 0, 0x0000000039EB8723),
    (0.004823843017220497, 0, 0, 0x000000003B9E1154),
    (8.267763007552276e-08, 3, 0, 0x0000000333B18C82),
    (0.0003022932505700737, 16, 0, 0x00000010399E7D1D),
    (1.0, 1, 0, 0x000000013F800000),
    (0.125, 4, -1, 0x0000FF043E000000),
]


@pytest.mark.parametrize(("deq_scale", "shift_n", "offset_w", "word"), WORDS)
def test_words_have_the_documented_layout(
    deq_scale: float, shift_n: int, offset_w: int, word: int
) -> None:
    assert int(dequant.pack(deq_scale, shift_n, offset_w)) == word
    found_scale, found_shift, found_offset = dequant.unpack(word)
    assert found_scale == np.float32(deq_scale)
    assert [int(found_shift), int(found_offset)] == [shift_n, offset_w]


@given(st.lists(st.tuples(deq_scales, shifts, st.integers(-128, 127)), min_size=1, max_size=8))
def test_words_round_trip(rows: List[Tuple[float, int, int]]) -> None:
    deq_scale, shift_n, offset_w = (list(column) for column in zip(*rows))
    words = dequant.pack(np.array(deq_scale, np.float32), shift_n, offset_w)
    assert words.dtype == np.uint64
    little_endian = b"".join(struct.pack("<fBbH", *row, 0) for row in rows)
    assert words.astype("<u8").tobytes() == little_endian
    scale_again, shift_again, offset_again = dequant.unpack(words)
    assert scale_again.dtype == np.float32
    assert shift_again.dtype == np.uint8
    assert offset_again.dtype == np.int8
    assert scale_again.tolist() == deq_scale
    assert shift_again.tolist() == shift_n
    assert offset_again.tolist() == offset_w


def test_factors_broadcast() -> None:
    words = dequant.pack(np.array([1.0, 2.0], np.float32), 3)
    assert words.tolist() == [0x33F800000, 0x340000000]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((0.0, 0, 0), "deq_scale"),
        ((-1.0, 0, 0), "deq_scale"),
        ((np.inf, 0, 0), "deq_scale"),
        ((np.nan, 0, 0), "deq_scale"),
        ((1.0, 17, 0), "shift_n"),
        ((1.0, -1, 0), "shift_n"),
        ((1.0, 1.5, 0), "shift_n"),
        ((1.0, 0, 128), "offset_w"),
        ((1.0, 0, -129), "offset_w"),
    ],
)
def test_factors_out_of_range_are_not_packed(arguments: Any, field: str) -> None:
    with pytest.raises(QuantizationError, match=field):
        dequant.pack(*arguments)


@pytest.mark.parametrize("word", [1 << 48, 0x1000000000000 | 0x3F800000, 0, 0x113F800000])
def test_words_that_nobody_writes_are_not_unpacked(word: int) -> None:
    with pytest.raises(QuantizationError):
        dequant.unpack(word)


@given(int32s, st.integers(1, 16))
def test_shift_floors_clamps_and_scales_back(acc: int, shift_n: int) -> None:
    expected = max(-32768, min(32767, acc // 2**shift_n)) * 2**shift_n
    result = dequant.shift(np.array([acc]), shift_n)
    assert result.dtype == np.int32
    assert result.tolist() == [expected]


@given(int32s)
def test_no_shift_leaves_the_accumulator_alone(acc: int) -> None:
    assert dequant.shift(np.array([acc]), 0).tolist() == [acc]


def test_shift_takes_one_n_per_channel() -> None:
    acc = np.array([[-3, -3], [7, 70000]], np.int32)
    assert dequant.shift(acc, np.array([[1], [0]])).tolist() == [[-4, -4], [7, 70000]]


@given(int32s, deq_scales, shifts)
def test_dequantize_rounds_twice_and_to_even(acc: int, deq_scale: float, shift_n: int) -> None:
    shifted = acc
    if shift_n:
        shifted = max(-32768, min(32767, acc >> shift_n)) << shift_n
    # struct rounds Python numbers (exact in float64) to the nearest float32, halves to even; the
    # product of two float32 numbers is exact in float64.
    converted = struct.unpack("f", struct.pack("f", float(shifted)))[0]
    expected = struct.unpack("f", struct.pack("f", converted * deq_scale))[0]
    result = dequant.dequantize(
        np.array([[acc]]), np.array([deq_scale], np.float32), np.array([shift_n], np.uint8)
    )
    assert result.dtype == np.float32
    assert result.tolist() == [[expected]]
    assert Fraction(converted) * Fraction(deq_scale) == Fraction(converted * deq_scale)


def test_conversion_of_a_half_goes_to_the_even_float32() -> None:
    acc = np.array([2**24 + 1, 2**24 + 3, -(2**24) - 1])
    result = dequant.dequantize(acc, np.ones(1, np.float32), channel_axis=None)
    assert result.tolist() == [2**24, 2**24 + 4, -(2**24)]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_factors_lie_along_the_channel_axis(axis: int) -> None:
    acc = np.random.default_rng(7).integers(-(2**20), 2**20, (3, 3, 3))
    deq_scale = np.array([0.5, 0.25, 3.0], np.float32)
    shift_n = np.array([1, 4, 9], np.uint8)
    whole = dequant.dequantize(acc, deq_scale, shift_n, axis)
    for channel in range(3):
        alone = dequant.dequantize(
            np.take(acc, channel, axis), deq_scale[channel], shift_n[channel], None
        )
        np.testing.assert_array_equal(np.take(whole, channel, axis), alone)


@pytest.mark.parametrize("acc", [2**31, -(2**31) - 1])
def test_an_accumulator_beyond_int32_is_an_error(acc: int) -> None:
    with pytest.raises(QuantizationError, match="accumulator"):
        dequant.dequantize(np.array([acc]), np.ones(1, np.float32), channel_axis=None)


def test_float_accumulators_are_an_error() -> None:
    with pytest.raises(QuantizationError, match="float32"):
        dequant.shift(np.zeros(1, np.float32), 0)


def test_n_is_zero_for_all_channels_or_for_none() -> None:
    dequant.check_shift_n([0, 0])
    dequant.check_shift_n([1, 16])
    with pytest.raises(QuantizationError, match="channel 1"):
        dequant.check_shift_n([5, 0, 7])
    with pytest.raises(QuantizationError, match=r"0\.\.16"):
        dequant.check_shift_n([17])
    with pytest.raises(QuantizationError, match="not searched"):
        dequant.dequantize(np.zeros((1, 2), np.int32), np.ones(2, np.float32), [0, 1])


def test_channels_are_on_axis_1_unless_it_is_said() -> None:
    acc = np.ones((2, 2, 2), np.int32)
    found = dequant.dequantize(acc, np.array([1, 3], np.float32))
    np.testing.assert_array_equal(found, [[[1, 1], [3, 3]]] * 2)


@given(row=st.tuples(deq_scales, shifts, st.integers(-128, 127)))
def test_without_its_shift_a_word_keeps_scale_and_offset(row: Tuple[float, int, int]) -> None:
    deq_scale, shift_n, offset_w = row
    found = dequant.without_shift(dequant.pack(deq_scale, shift_n, offset_w))
    assert int(found) == int(dequant.pack(deq_scale, 0, offset_w))


@pytest.mark.parametrize("deq_scale", [0.0, -1.0, float("inf"), float("nan")])
def test_a_factor_that_no_word_can_hold_dequantizes_nothing(deq_scale: float) -> None:
    with pytest.raises(QuantizationError):
        dequant.dequantize(np.ones((1, 1), np.int32), [deq_scale], [0])


@pytest.mark.parametrize("shift_n", [-1, dequant.MAX_SHIFT + 1])
def test_no_accumulator_is_shifted_by_what_n_cannot_be(shift_n: int) -> None:
    with pytest.raises(QuantizationError, match="shift_n"):
        dequant.shift(np.ones((1, 1), np.int32), [[shift_n]])
