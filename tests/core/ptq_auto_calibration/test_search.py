"""The search for the layers that stay in float, apart from models and files."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amct_core.errors import AutoCalibrationError
from amct_core.ptq.auto_calibration.binary_search import BinarySearch
from amct_core.ptq.auto_calibration.search import RolledBack, Verdict, search

sizes = st.integers(1, 200)


def layers(count: int) -> list[str]:
    return [f"layer{number}" for number in range(count)]


def searched(
    count: int, satisfied: Callable[[int], bool]
) -> tuple[RolledBack | None, list[tuple[int, bool]]]:
    """Search over ``count`` layers, where ``satisfied`` tells by how many are rolled back."""
    tried: list[tuple[int, bool]] = []

    def judge(rolled_back: RolledBack) -> Verdict:
        assert rolled_back == frozenset(layers(count)[: len(rolled_back)])
        tried.append((len(rolled_back), satisfied(len(rolled_back))))
        return Verdict(tried[-1][1], 0.0)

    ranking = [(layer, float(number)) for number, layer in enumerate(layers(count))]
    return search(BinarySearch(ranking), layers(count), judge), tried


@given(sizes, st.data())
def test_where_more_in_float_is_never_worse_it_finds_the_fewest(count: int, data: st.DataObject):
    needed = data.draw(st.integers(1, count))
    best, tried = searched(count, lambda rolled_back: rolled_back >= needed)
    assert best == (frozenset(layers(count)[:needed]) if needed < count else None)
    assert len(tried) <= math.floor(math.log2(count)) + 1


@given(sizes, st.data())
def test_whatever_the_evaluator_says_it_ends_with_the_fewest_that_satisfied(
    count: int, data: st.DataObject
):
    answers = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    best, tried = searched(count, lambda rolled_back: answers[rolled_back - 1])
    satisfying = [size for size, satisfied in tried if satisfied]
    assert best == (frozenset(layers(count)[: min(satisfying)]) if satisfying else None)
    assert len(tried) <= math.floor(math.log2(count)) + 1
    assert all(size < count for size, _ in tried)


@pytest.mark.parametrize(
    ("needed", "candidates"), [(1, [3, 1]), (2, [3, 1, 2]), (4, [3, 5, 4]), (6, [3, 5, 6])]
)
def test_the_candidates_are_those_of_amct(needed: int, candidates: list[int]) -> None:
    # left = 0, right = n - 1, mid = (left + right) // 2; by hand for six layers.
    _, tried = searched(6, lambda rolled_back: rolled_back >= needed)
    assert [size for size, _ in tried] == [size for size in candidates if size < 6]


class Fixed:
    """A strategy that proposes the same again and again."""

    def __init__(self, *rolled_back: str) -> None:
        self.rolled_back = frozenset(rolled_back)

    def propose(self) -> RolledBack:
        return self.rolled_back

    def judge(self, satisfied: bool, loss: float) -> None:
        pass


@pytest.mark.parametrize(
    ("strategy", "message"),
    [(Fixed("a"), "a second time"), (Fixed("other"), r"roll back \['other'\]")],
)
def test_a_strategy_that_would_not_end_or_knows_other_layers_is_refused(
    strategy: Fixed, message: str
) -> None:
    with pytest.raises(AutoCalibrationError, match=message):
        search(strategy, ["a", "b"], lambda rolled_back: Verdict(True, 0.0))
