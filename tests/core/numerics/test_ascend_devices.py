"""Worked examples of what Ascend 310, 910 (v100) and 310P (v200) make of accumulators.

The numbers were computed from the public sources of CANN's fusion engine and kernels, apart from
this code.  What the sources leave open and a model had to choose is marked ``inferred``.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amct_core.errors import QuantizationError
from amct_core.numerics import affine, ascend_v100, ascend_v200, dequant, float16

inferred = pytest.mark.inferred

f32 = np.float32


def rows(*values: int) -> np.ndarray:
    """Return accumulators of one channel each: (1, C)."""
    return np.array([values], np.int32)


def column(*values: int) -> np.ndarray:
    """Return accumulators of one channel: (N, 1)."""
    return np.array(values, np.int32).reshape(-1, 1)


def bits(values: np.ndarray) -> list[int]:
    return [int(np.float16(value).view(np.uint16)) for value in values]


class TestV100:
    def test_e1_a_deq_scale_is_float16(self) -> None:
        stored = ascend_v100.scale(f32([0.0123, 0.00071]))
        assert not stored.sqrt_mode
        assert stored.d.tolist() == [0.012298583984375, 0.0007100105285644531]
        assert bits(stored.d) == [0x224C, 0x11D1]

    @inferred
    def test_e1_the_product_is_rounded_once(self) -> None:
        stored = ascend_v100.scale(f32([0.0123, 0.00071]))
        found = ascend_v100.dequantize(rows(1234, -98765), stored)
        assert found.tolist() == [[15.1796875, -70.125]]

    def test_e2_one_small_channel_gives_all_channels_a_square_root(self) -> None:
        stored = ascend_v100.scale(f32([0.0123, 0.00004]))
        assert stored.sqrt_mode
        assert stored.d.tolist() == [0.11090087890625, 0.00632476806640625]
        assert bits(stored.d) == [0x2F19, 0x1E7A]

    @inferred
    def test_e2_the_processor_multiplies_twice(self) -> None:
        stored = ascend_v100.scale(f32([0.0123, 0.00004]))
        found = ascend_v100.dequantize(rows(1234, -987654), stored)
        assert found.tolist() == [[15.1796875, -39.53125]]

    @inferred
    def test_e2b_the_first_product_saturates(self) -> None:
        stored = ascend_v100.scale(f32([0.00006]))
        assert stored.d.tolist() == [0.007747650146484375]
        assert ascend_v100.dequantize(column(12_000_000), stored).item() == 507.5

    @inferred
    def test_e3_merged_with_relu_and_quant(self) -> None:
        stored = ascend_v100.scale(f32([0.0031]), 42.5)
        assert (stored.d.tolist(), stored.sqrt_mode) == ([0.1317138671875], False)
        y = ascend_v100.dequantize(column(0, 500, 1000, 1234, 1902, -77, 5000), stored, relu=True)
        assert y.ravel().tolist() == [0, 65.875, 131.75, 162.5, 250.5, 0, 658.5]
        q = float16.quantize(y, 1.0, -128)
        assert q.ravel().tolist() == [-128, -62, 4, 34, 122, -128, 127]

    @inferred
    def test_e3b_how_often_merged_and_unmerged_differ_from_exact_integers(self) -> None:
        acc, deq, s = np.arange(2000).reshape(-1, 1), f32([0.0031]), 42.5
        relu = np.maximum(dequant.dequantize(acc, deq), 0)
        exact = affine.quantize(relu, s, -128)
        merged = float16.quantize(
            ascend_v100.dequantize(acc, ascend_v100.scale(deq, s), relu=True), 1.0, -128
        )
        unmerged = float16.quantize(
            ascend_v100.dequantize(acc, ascend_v100.scale(deq), relu=True), s, -128
        )
        assert (int((merged != exact).sum()), int((unmerged != exact).sum())) == (95, 103)

    @inferred
    def test_e6_each_branch_of_a_concat_decides_for_itself(self) -> None:
        a = ascend_v100.scale(f32([0.01, 0.02]), 8)
        b = ascend_v100.scale(f32([0.000005, 0.03]), 8)
        assert (a.sqrt_mode, a.d.tolist()) == (False, [0.08001708984375, 0.1600341796875])
        assert (b.sqrt_mode, b.d.tolist()) == (True, [0.00632476806640625, 0.489990234375])
        branches = [(rows(700, -300), a), (rows(900000, 55), b)]
        y = [ascend_v100.dequantize(acc, stored) for acc, stored in branches]
        assert [each.tolist() for each in y] == [[[56.0, -48.0]], [[36.0, 13.203125]]]
        assert [float16.quantize(each, 1.0, 0).tolist() for each in y] == [[[56, -48]], [[36, 13]]]

    @inferred
    def test_e7_relu6_is_clipped_at_six_times_the_scale(self) -> None:
        stored = ascend_v100.scale(f32([0.01]), 20)
        assert stored.d.tolist() == [0.199951171875]
        y = np.clip(ascend_v100.dequantize(column(100, 590, 650), stored), 0, 6 * 20)
        assert y.ravel().tolist() == [20, 118, 120]
        assert float16.quantize(y, 1.0, -120).ravel().tolist() == [-100, -2, 0]

    def test_a_product_that_is_not_finite_stops_atc(self) -> None:
        with pytest.raises(QuantizationError, match="not finite"):
            ascend_v100.scale(f32([1e30]), 1e30)

    @given(st.integers(-(2**31), 2**31 - 1), st.floats(2**-14, 60000, width=16))
    def test_a_single_product_is_the_nearest_float16(self, acc: int, d: float) -> None:
        stored = ascend_v100.Scale(f32([d]), sqrt_mode=False)
        found = float(ascend_v100.dequantize(column(acc), stored).item())
        exact = Fraction(acc) * Fraction(d)
        if abs(exact) >= 65504:
            assert abs(found) == 65504
        else:
            neighbours = np.nextafter(np.float16(found), np.float16([-65504, 65504]))
            nearest = min(abs(exact - Fraction(float(x))) for x in neighbours if x != found)
            assert abs(exact - Fraction(found)) <= nearest


class TestV200:
    @inferred
    def test_e4_merged_is_one_product_of_the_int32(self) -> None:
        m = ascend_v200.multiplier(f32([0.0031]), 42.5, 0)
        assert m.view(np.uint32).tolist() == [0x3E06E979]
        acc = column(0, 500, 1000, 1234, 1902, -77, 5000)
        q = ascend_v200.requantize(acc, f32([0.0031]), 42.5, -128, relu=True)
        assert q.ravel().tolist() == [-128, -62, 4, 35, 123, -128, 127]

    @inferred
    def test_e4_merged_equals_exact_integers_in_a_sweep(self) -> None:
        acc, deq, s = np.arange(2000).reshape(-1, 1), f32([0.0031]), 42.5
        exact = affine.quantize(np.maximum(dequant.dequantize(acc, deq), 0), s, -128)
        merged = ascend_v200.requantize(acc, deq, s, -128, relu=True)
        np.testing.assert_array_equal(merged, exact)

    @inferred
    @pytest.mark.parametrize(
        ("offset", "expected"), [(-127, [-127, -125, -125]), (-128, [-128, -126, -126])]
    )
    def test_e4_the_offset_is_added_behind_the_rounding(self, offset, expected) -> None:
        q = ascend_v200.requantize(column(1, 3, 5), f32([0.5]), 1, offset)
        assert q.ravel().tolist() == expected

    @inferred
    def test_e5_n_saturates_int16(self) -> None:
        acc, deq = column(1000, -1001, 12345, 600000, -600000), f32([0.0005])
        t = ascend_v200.shifted(acc, [4])
        assert t.ravel().tolist() == [62, -63, 771, 32767, -32768]
        q = ascend_v200.requantize(acc, deq, 10, 0, shift_n=[4])
        assert q.ravel().tolist() == [5, -5, 62, 127, -128]
        y = ascend_v200.dequantize(acc, deq, [4])
        assert y.ravel().tolist() == [0.49609375, -0.50390625, 6.16796875, 262.25, -262.25]
        plain = ascend_v200.dequantize(acc, deq)
        assert plain.ravel().tolist() == [0.5, -0.50048828125, 6.171875, 300, -300]

    @inferred
    def test_e8_an_eltwise_of_dequants_with_n_adds_int16(self) -> None:
        first = ascend_v200.shifted_sum(column(1000, 4001), [77], [3])
        second = ascend_v200.shifted_sum(column(-309, 999), [-5], [3])
        assert (first.ravel().tolist(), second.ravel().tolist()) == ([134, 509], [-40, 123])
        t = np.maximum(first + second, 0)
        assert t.ravel().tolist() == [94, 632]
        m = ascend_v200.multiplier(f32([0.002]), 5, [3])
        assert ascend_v200.requantize_sum(t, m, -128).ravel().tolist() == [-120, -77]

    def test_axis_1_counts_channels_unless_another_one_is_named(self) -> None:
        acc = np.full((2, 3, 2), 1000, np.int32)
        shifts, bias = [1, 2, 3], [0, 40, 80]
        summed = ascend_v200.shifted_sum(acc, bias, shifts)
        assert summed[0, :, 0].tolist() == [500, 250 + 10, 125 + 10]
        last = ascend_v200.shifted_sum(np.moveaxis(acc, 1, 2), bias, shifts, channel_axis=2)
        np.testing.assert_array_equal(np.moveaxis(last, 2, 1), summed)

    def test_n_of_0_neither_shifts_nor_saturates(self) -> None:
        acc = column(600000, -600000, 2**31 - 1)
        np.testing.assert_array_equal(ascend_v200.shifted(acc, [0]), acc)


@pytest.mark.parametrize(
    ("scales", "merged", "base"),
    [
        ([42.5, 42.500004], True, 42.5),
        ([0.5, 0.500009], True, 0.5),
        ([0.5, 0.50002], False, 0.5),
        ([200, 200.00002], False, 200),
        ([0.000005, 42.5], True, 42.5),
    ],
)
def test_e15_scales_are_the_same_within_1e_5(scales, merged: bool, base: float) -> None:
    assert ascend_v100.merged_scales(f32(scales)) == (merged, f32(base))


def test_e13_antiquant_computes_in_float16_at_each_step() -> None:
    q = np.arange(-128, 128)
    scale = np.float32(1 / 42.5)
    steps = float16.dequantize(q, -128, scale)
    at_once = float16.rounded((q + 128).astype(np.float32) * scale)
    assert int((steps != at_once).sum()) == 9
