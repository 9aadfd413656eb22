"""The search for shift N: the reference library's errors and choices, and Python integers."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Type, Union

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from amct_core.errors import QuantizationError
from amct_core.numerics.shift_search import (
    FlooringShiftSearch,
    ShiftErrors,
    TruncatingShiftSearch,
)

Cases = Callable[[str], List[Dict[str, Any]]]
Search = Union[Type[FlooringShiftSearch], Type[TruncatingShiftSearch]]

# So that squared errors add up below 2**53 and Python's sums are exact in float64 too.
accumulators = st.lists(st.integers(-(2**23), 2**23), min_size=1, max_size=40)


def integer_cases(cases: Cases) -> List[Dict[str, Any]]:
    found = [case for case in cases("search_n") if "s32" in case]
    assert len(found) == 6
    return found


def outputs(s32: List[int]) -> NDArray[np.float32]:
    return np.array(s32, np.float32).reshape(1, 1, -1)


def search_n(s32: ArrayLike) -> int:
    """Return N for the accumulators of one channel; the quotient is truncated."""
    errors = ShiftErrors(groups=1, division=np.trunc)
    errors.add(np.asarray(s32).reshape(1, -1))
    return int(errors.best()[0])


def search_n_v2(y: NDArray[np.float32], deq_scale: ArrayLike, broadcast: bool = False) -> Any:
    """Return N per channel for the outputs of one batch; the quotient is floored."""
    search = FlooringShiftSearch(deq_scale, broadcast)
    search.observe(y)
    return search.result()


def errors_in_integers(s32: List[int], truncate: bool) -> List[int]:
    """Squared errors for N = 1..16 in Python integers."""
    totals = []
    for shift in range(1, 17):
        total = 0
        for value in s32:
            quotient = value >> shift
            if truncate and value < 0:
                quotient = -(-value >> shift)
            total += (max(-32768, min(32767, quotient)) * 2**shift - value) ** 2
        totals.append(total)
    return totals


def first_minimum(errors: List[int]) -> int:
    return errors.index(min(errors)) + 1


def test_search_n_has_the_errors_and_the_choice_of_the_reference_library(cases: Cases) -> None:
    for case in integer_cases(cases):
        s32 = np.array(case["s32"], np.int32)
        errors = ShiftErrors(1, np.trunc)
        errors.add(s32.reshape(1, -1))
        assert errors.sums[0].tolist() == case["v1_error_by_n_1_16"]
        assert search_n(s32) == case["v1_best_n"]


def test_search_n_v2_has_the_errors_and_the_choice_of_the_reference_library(cases: Cases) -> None:
    for case in integer_cases(cases):
        errors = ShiftErrors(1, np.floor)
        errors.add(np.array(case["s32"], np.int32).reshape(1, -1))
        # The reference adds up in float32.
        np.testing.assert_allclose(errors.sums[0], case["v2_error_float"], rtol=1e-6)
        found = search_n_v2(outputs(case["s32"]), np.ones(1, np.float32))
        assert found.tolist() == [case["v2_best_n_deq1"]]


def test_a_broadcast_search_over_channels_equals_the_reference_library(cases: Cases) -> None:
    (case,) = [case for case in cases("search_n") if "channels" in case]
    assert case["broadcast"] is True
    y = np.array(case["channels"], np.float32)[np.newaxis]
    found = search_n_v2(y, np.array(case["deq_scale"], np.float32), broadcast=True)
    assert found.dtype == np.uint8
    assert found.tolist() == case["best_n"]


@given(accumulators)
def test_both_quotients_agree_with_python_integers(s32: List[int]) -> None:
    for division, truncate in ((np.trunc, True), (np.floor, False)):
        errors = ShiftErrors(1, division)
        errors.add(np.array([s32]))
        assert errors.sums[0].tolist() == errors_in_integers(s32, truncate)
    assert search_n(s32) == first_minimum(errors_in_integers(s32, True))


@given(accumulators)
def test_searches_recover_accumulators_from_outputs(s32: List[int]) -> None:
    deq_scale = np.array([2.0**-9], np.float32)  # exact, so that y / deq_scale is the accumulator
    y = outputs(s32) * deq_scale
    held = [int(value) for value in outputs(s32).ravel()]
    for search, truncate in ((TruncatingShiftSearch, True), (FlooringShiftSearch, False)):
        running = search(deq_scale)
        running.observe(y)
        assert running.result().tolist() == [first_minimum(errors_in_integers(held, truncate))]


@pytest.mark.parametrize("search", [TruncatingShiftSearch, FlooringShiftSearch])
@pytest.mark.parametrize("broadcast", [False, True])
def test_batches_one_by_one_give_what_all_at_once_give(search: Search, broadcast: bool) -> None:
    random = np.random.default_rng(4)
    deq_scale = random.uniform(1e-5, 1e-3, 5).astype(np.float32)
    y = random.normal(size=(12, 5, 7, 6), scale=30).astype(np.float32)
    together, apart = search(deq_scale, broadcast), search(deq_scale, broadcast)
    together.observe(y)
    for part in np.array_split(y, 5):
        apart.observe(part)
    np.testing.assert_array_equal(together.result(), apart.result())


@pytest.mark.parametrize("search", [TruncatingShiftSearch, FlooringShiftSearch])
def test_channels_are_searched_on_their_own(search: Search) -> None:
    random = np.random.default_rng(5)
    deq_scale = np.array([1e-4, 1e-6, 1e-2], np.float32)
    y = random.normal(size=(4, 3, 5, 5), scale=20).astype(np.float32)
    together = search(deq_scale)
    together.observe(y)
    alone = []
    for channel in range(3):
        single = search(deq_scale[channel : channel + 1])
        single.observe(y[:, channel : channel + 1])
        alone.extend(single.result().tolist())
    assert together.result().tolist() == alone
    assert len(set(alone)) > 1


@pytest.mark.parametrize("search", [TruncatingShiftSearch, FlooringShiftSearch])
def test_broadcast_keeps_each_channel_s_own_deq_scale_and_replicates_n(search: Search) -> None:
    # Accumulators of 2**20 in both channels need N = 6 at least.
    deq_scale = np.array([2.0**-10, 2.0**-20], np.float32)
    y = np.array([[2.0**10, 1.0]], np.float32).reshape(1, 2, 1, 1)
    running = search(deq_scale, True)
    running.observe(y)
    assert running.result().tolist() == [6, 6]


@pytest.mark.parametrize("search", [TruncatingShiftSearch, FlooringShiftSearch])
def test_one_deq_scale_makes_all_outputs_one_group(search: Search) -> None:
    random = np.random.default_rng(6)
    y = random.normal(size=(8, 10), scale=1000).astype(np.float32)
    whole, flat = search(np.float32(0.001)), search(np.float32(0.001))
    whole.observe(y)
    flat.observe(y.reshape(1, 1, -1))
    assert whole.result().shape == (1,)
    np.testing.assert_array_equal(whole.result(), flat.result())


def test_zeros_give_1_and_a_tie_gives_the_smaller_n() -> None:
    assert search_n(np.zeros(4, np.int32)) == 1
    assert search_n([2**17 - 4]) == 2  # 1 clips, 2 is exact
    assert search_n([2**18]) == 4  # 4 to 16 are all exact
    zeros = np.zeros((2, 3, 4), np.float32)
    assert search_n_v2(zeros, np.ones(3, np.float32)).tolist() == [1, 1, 1]


def test_values_beyond_int32_are_taken_as_its_ends() -> None:
    running = TruncatingShiftSearch(np.float32(1.0))
    running.observe(np.array([[3e38, -3e38]], np.float32))
    ends = TruncatingShiftSearch(np.float32(1.0))
    ends.observe(np.array([[2.0**31, -(2.0**31)]], np.float32))
    np.testing.assert_array_equal(running.result(), ends.result())
    assert running.result().tolist() == [16]


def test_a_search_that_has_seen_nothing_has_no_result() -> None:
    with pytest.raises(QuantizationError, match="observed"):
        FlooringShiftSearch(np.ones(2, np.float32)).result()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_outputs_that_are_not_finite_are_an_error(value: float) -> None:
    with pytest.raises(QuantizationError, match="NaN or infinite"):
        FlooringShiftSearch(1.0).observe(np.array([[value]], np.float32))


@pytest.mark.parametrize("deq_scale", [0.0, -1.0, np.nan, np.inf])
def test_an_unusable_deq_scale_is_an_error(deq_scale: float) -> None:
    with pytest.raises(QuantizationError, match="deq_scale"):
        FlooringShiftSearch(deq_scale)


def test_a_wrong_number_of_channels_is_an_error() -> None:
    with pytest.raises(QuantizationError, match="per channel"):
        FlooringShiftSearch(np.ones(3, np.float32)).observe(np.zeros((1, 2, 4), np.float32))
