"""Processes that each hold a share of the data find what one with all of it finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amct_core.numerics import ifmr
from amct_core.numerics.shift_search import FlooringShiftSearch, TruncatingShiftSearch
from tests.core.numerics.sharing import on_ranks

seeds = st.integers(0, 2**32 - 1)
ranks = st.integers(1, 4)


def shares_of(seed, count):
    """Random batches of different sizes and spreads, one list per rank."""
    generator = np.random.default_rng(seed)
    return [
        [
            generator.normal(0, generator.uniform(0.1, 5), generator.integers(1, 400)).astype("f4")
            for _ in range(generator.integers(1, 4))
        ]
        for _ in range(count)
    ]


@given(seed=seeds, count=ranks, percentile=st.sampled_from([0.5, 0.9, 0.999999, 1]))
def test_ifmr_finds_the_bounds_of_all_of_the_data(seed, count, percentile):
    shares = shares_of(seed, count)
    search = {"max_percentile": percentile, "min_percentile": percentile}
    everything = ifmr.calibrate([batch for share in shares for batch in share], **search)
    found = on_ranks(
        count, lambda rank, reduction: ifmr.calibrate(shares[rank], reduction=reduction, **search)
    )
    assert found == [everything] * count


def test_ifmr_over_shares_is_not_that_of_a_share():
    shares = [[np.linspace(-1, 1, 100, dtype="f4")], [np.linspace(-8, 8, 100, dtype="f4")]]
    found = on_ranks(2, lambda rank, reduction: ifmr.calibrate(shares[rank], reduction=reduction))
    assert found[0] == found[1] != ifmr.calibrate(shares[0])


@pytest.mark.parametrize("search", [FlooringShiftSearch, TruncatingShiftSearch])
@given(seed=seeds, count=ranks, broadcast=st.booleans())
def test_the_search_for_n_sees_what_all_have_observed(search, seed, count, broadcast):
    generator = np.random.default_rng(seed)
    scale = generator.uniform(1e-6, 1e-3, 3).astype("f4")
    batches = [
        (generator.normal(0, 10.0 ** generator.integers(-2, 4), (2, 3, 4))).astype("f4")
        for _ in range(count)
    ]

    def one_rank(rank, reduction):
        searcher = search(scale, broadcast)
        searcher.observe(batches[rank])
        searcher.combine(reduction)
        return searcher.result().tolist()

    alone = search(scale, broadcast)
    for batch in batches:
        alone.observe(batch)
    assert on_ranks(count, one_rank) == [alone.result().tolist()] * count


def test_a_rank_that_has_observed_nothing_gets_the_others_n():
    def one_rank(rank, reduction):
        searcher = FlooringShiftSearch(np.float32(1))
        if rank == 1:
            searcher.observe(np.full((1, 1, 1), 2.0**20, "f4"))
        searcher.combine(reduction)
        return searcher.result().tolist()

    assert on_ranks(2, one_rank) == [[6], [6]]
