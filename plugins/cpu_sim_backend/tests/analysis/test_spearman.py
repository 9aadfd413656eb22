"""Rank correlation, against its definition and a worked example."""

from __future__ import annotations

from typing import List

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpu_sim_backend.analysis.sensitivity import spearman

VALUES = st.lists(st.integers(-50, 50), min_size=2, max_size=20)


@given(st.permutations(list(range(12))))
def test_without_ties_it_is_the_formula_of_squared_differences(order: List[int]) -> None:
    squares = sum((rank - index) ** 2 for index, rank in enumerate(order))
    assert spearman(range(12), order) == pytest.approx(1 - 6 * squares / (12 * (144 - 1)))


@given(VALUES)
def test_only_the_order_counts(values: List[int]) -> None:
    if len(set(values)) > 1:
        assert spearman(values, [x**3 + 5 for x in values]) == pytest.approx(1)
        assert spearman(values, [-x for x in values]) == pytest.approx(-1)


def test_equal_values_share_the_mean_of_their_ranks() -> None:
    """Ranks 1.5 1.5 3 4 and 1 2 3.5 3.5: covariance 4, variances 4.5 each."""
    assert spearman([5, 5, 7, 9], [0, 1, 2, 2]) == pytest.approx(4 / 4.5)


def test_it_says_nothing_of_values_that_are_all_equal() -> None:
    assert np.isnan(spearman([1, 1, 1], [1, 2, 3]))
