"""HFMG: the reference library's calibrations, the algorithm step by step, and what it mends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amct_core.errors import QuantizationError
from amct_core.numerics import hfmg
from amct_core.numerics.hfmg import Bins, Hfmg
from tests.core.numerics.sharing import on_ranks

seeds = st.integers(0, 2**32 - 1)
some = settings(max_examples=20)


def observed(*batches, **parameters):
    run = Hfmg(**parameters)
    for batch in batches:
        run.observe(np.asarray(batch, np.float32))
    return run


def bins_of(run: Hfmg) -> Bins:
    (bins,) = run._bins
    return bins


def test_scales_and_offsets_equal_the_reference_library(reference_vectors):
    # In none of the four does the window move on the left, so the missing sign there shows in none.
    cases = reference_vectors("hfmg_dmq_wulq_cast_libquant")["cases"]
    compared = [case for case in cases if case["name"].startswith("hfmg")]
    assert len(compared) == 4
    for case in compared:
        run = observed(
            case["batch0"],
            case["batch1"],
            with_offset=case["with_offset"],
            num_of_bins=case["num_of_bins"],
        )
        assert run.result() == (np.float32(case["scale"]), case["offset"])
        assert hfmg.best_window(bins_of(run).counts)[0] == 0


def walked(counts):
    """Narrow the window down value by value, as the description says."""
    left, right = 0, len(counts) - 1
    step = max(1, -(-sum(counts) // 100_000))
    found = []
    while right - left > -(-len(counts) // 4):
        inner_left, inner_right, passed_left, passed_right = left, right, 0, 0
        while inner_left < inner_right and passed_left < step:
            passed_left += counts[inner_left]
            inner_left += 1
        while inner_left < inner_right and passed_right < step:
            passed_right += counts[inner_right]
            inner_right -= 1
        if right - inner_right >= inner_left - left:
            right = inner_right
        else:
            left = inner_left
        found.append((left, right))
    return found


@some
@given(seed=seeds, most=st.sampled_from([1, 3, 100, 1_000_000]), share=st.floats(0.01, 1))
def test_windows_are_those_of_a_walk_from_both_sides(seed, most, share):
    random = np.random.default_rng(seed)
    counts = random.integers(0, most + 1, 64) * (random.random(64) < share)
    assert hfmg.windows(counts).tolist() == [list(window) for window in walked(counts.tolist())]


def integrated(counts, left, right, points=2000):
    """Sum the squared distances of many points per bin to the centres of their cells."""
    cell = (right - left + 1) / 256
    total = 0.0
    for index, count in enumerate(counts):
        places = index - left + (np.arange(points) + 0.5) / points
        cells = np.clip(np.floor(places / cell), 0, 255)
        total += count * np.mean((places - (cells + 0.5) * cell) ** 2)
    return total


@some
@given(seed=seeds, left=st.integers(0, 20), right=st.integers(21, 39))
def test_a_loss_is_the_integral_of_the_squared_distance(seed, left, right):
    counts = np.random.default_rng(seed).integers(0, 50, 40)
    (found,) = hfmg.loss(counts, np.array([[left, right]]))
    assert found == pytest.approx(integrated(counts, left, right), rel=1e-3)


@some
@given(seed=seeds, left=st.integers(0, 400), right=st.integers(500, 1023))
def test_clipping_on_the_left_costs_what_it_does_on_the_right(seed, left, right):
    # Without the sign, what lies left of the window would cost nothing.
    counts = np.random.default_rng(seed).integers(0, 50, 1024)
    mirrored = hfmg.loss(counts[::-1], np.array([[1023 - right, 1023 - left]]))
    assert hfmg.loss(counts, np.array([[left, right]])) == pytest.approx(mirrored, rel=1e-9)


def test_a_tail_on_the_left_is_clipped_like_one_on_the_right():
    x = np.random.default_rng(0).exponential(1, 200_000).astype(np.float32)
    right, left = observed(x), observed(-x)
    # Not equal: where both sides pass as many bins, the right one moves.
    assert left.result()[0] == pytest.approx(right.result()[0], rel=0.03)
    assert (right.result()[1], left.result()[1]) == (-128, 127)
    assert right.result()[0] < 0.95 * x.max() / 255


def test_a_bin_across_two_new_ones_is_shared_out_between_them():
    bins = Bins(np.float32(0), np.float32(4), np.array([10, 0, 7, 5]))
    spread = bins.spread_over(np.float32(-2), np.float32(4))  # width 1.5: -2, -0.5, 1, 2.5, 4
    # The first is at 0..1, in bin -0.5..1, whose upper edge counts to the next bin with nothing;
    # the third at 2..3: half of 7 is below 2.5, rounded down.
    assert spread.counts.tolist() == [0, 10, 3, 9]


@some
@given(seed=seeds)
def test_no_value_is_lost_when_the_range_grows(seed):
    random = np.random.default_rng(seed)
    batches = [
        random.normal(random.uniform(-9, 9), 10.0 ** random.integers(-3, 4), 100) for _ in range(4)
    ]
    bins = bins_of(observed(*batches, num_of_bins=1024))
    everything = np.concatenate(batches).astype(np.float32)
    assert bins.counts.sum() == 400
    assert (bins.counts >= 0).all()
    assert (bins.low, bins.high) == (everything.min(), everything.max())


def test_values_that_are_all_equal_lie_in_the_middle_bin():
    bins = bins_of(observed([2.0, 2.0], [2.0]))
    assert np.flatnonzero(bins.counts).tolist() == [2048]
    grown = bins_of(observed([2.0, 2.0], [0.0, 4.0]))
    assert grown.counts[[0, 2048, 4095]].tolist() == [1, 2, 1]


def test_small_values_are_told_apart():
    # Bins of 2e-8 are narrower than FLT_EPSILON, below which the reference puts all into one.
    scale, _ = observed(np.linspace(0, 1e-4, 5000)).result()
    assert scale == pytest.approx(1e-4 / 255, rel=2e-3)


@some
@given(seed=seeds, count=st.integers(1, 3))
def test_processes_merge_their_bins_in_the_order_of_ranks(seed, count):
    random = np.random.default_rng(seed)
    shares = [random.normal(0, random.uniform(0.1, 9), 200).astype("f4") for _ in range(count)]
    merged = on_ranks(count, lambda rank, reduction: observed(shares[rank]).combined(reduction))
    everything = np.concatenate(shares)
    for run in merged:
        bins = bins_of(run)
        assert np.array_equal(bins.counts, bins_of(merged[0]).counts)
        assert (bins.low, bins.high) == (everything.min(), everything.max())
        assert bins.counts.sum() == 200 * count


def test_counts_of_other_processes_arrive_as_they_are():
    counts = np.array([0, 1, 2**16, 2**24 + 1, 2**40 + 3])
    pieces = hfmg._pieces(counts).astype(np.float32)
    assert np.array_equal(hfmg._whole(pieces), counts)


def test_a_process_without_values_has_no_bins_to_give():
    shares = [[], [1.0, 5.0]]
    merged = on_ranks(2, lambda rank, reduction: observed(shares[rank]).combined(reduction))
    assert merged[0].result() == merged[1].result() == observed([1.0, 5.0]).result()


@pytest.mark.parametrize("number", [0, 1000, 16384])
def test_only_amcts_numbers_of_bins_are_taken(number):
    with pytest.raises(QuantizationError, match="1024, 2048, 4096, 8192"):
        Hfmg(num_of_bins=number)
