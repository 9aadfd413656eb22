"""The search for a quantization that holds a target, on synthetic networks."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amct_core.errors import AutoCalibrationError, FileFormatError
from amct_core.extensions import FallbackStrategy
from amct_core.ptq.auto import Candidate, Journal, Measurement, Recipe, compared, search

RECIPES = (Recipe("ifmr"), Recipe("mse"), Recipe("mse", equalized=True))

costs = st.lists(st.integers(0, 40), min_size=1, max_size=12)


def network(costs: list[int]):
    """Return MACs, and an evaluation in which each layer costs its own points."""
    names = [f"layer{index}" for index in range(len(costs))]
    loss = dict(zip(names, costs))

    def evaluate(candidate: Candidate) -> Measurement:
        extra = RECIPES[::-1].index(candidate.recipe)
        drop = sum(loss[name] for name in names if name not in candidate.float_layers) + extra
        return Measurement(90.0 - drop, float(drop), None, 100)

    return {name: 10 + index for index, name in enumerate(names)}, loss, evaluate


@given(costs, st.integers(0, 60))
def test_the_result_holds_the_target_and_no_layer_in_float_is_needless(costs, target) -> None:
    macs, loss, evaluate = network(costs)
    found = search(RECIPES, macs, target, evaluate, lambda recipe: loss)
    assert found.met == (evaluate(found.chosen).drop <= target)
    least = min(sorted(costs)[0], sum(costs))
    assert found.met == (least <= target or evaluate(Candidate(RECIPES[-1])).drop <= target)
    for name in found.chosen.float_layers if found.met else ():
        fewer = tuple(each for each in found.chosen.float_layers if each != name)
        assert evaluate(Candidate(found.chosen.recipe, fewer)).drop > target


@given(costs)
def test_no_candidate_is_tried_twice_and_all_recipes_come_before_fallback(costs) -> None:
    macs, loss, evaluate = network(costs)
    seen = []
    search(RECIPES, macs, 0, lambda each: (seen.append(each), evaluate(each))[1], lambda _: loss)
    assert len(set(seen)) == len(seen)
    first = next((i for i, each in enumerate(seen) if each.float_layers), len(seen))
    assert [each.recipe for each in seen[:first]] == list(RECIPES[:first])
    if first < len(seen):
        assert first == len(RECIPES)


def test_a_recipe_says_what_it_does() -> None:
    assert str(Recipe("kl")) == "kl"
    both = Recipe("kl", equalized=True, bias_corrected=True)
    assert str(both) == "kl+equalization+bias correction"
    assert (both.improvements.equalize, both.improvements.bias_correction) == (True, True)


def test_a_recipe_that_is_enough_ends_the_search() -> None:
    macs, _, evaluate = network([0, 0])

    def rank(recipe):
        raise AssertionError("nothing has to be ranked")

    found = search(RECIPES, macs, 1, evaluate, rank)
    assert (found.chosen, found.met, len(found.tried)) == (Candidate(RECIPES[1]), True, 2)


def test_a_wrong_ranking_is_put_right_by_the_greedy_pass() -> None:
    macs, _, evaluate = network([0, 0, 9, 0])
    wrong = dict(zip(macs, (4.0, 3.0, 2.0, 1.0)))
    found = search(RECIPES[-1:], macs, 1, evaluate, lambda _: wrong)
    assert found.chosen.float_layers == ("layer2",)


def test_the_greedy_pass_begins_with_the_least_sensitive_layer() -> None:
    macs, _, evaluate = network([5, 5, 9, 0])
    ranking = dict(zip(macs, (4.0, 3.0, 2.0, 1.0)))
    # The first three have to be in float, by this ranking; then one of the first two may return.
    found = search(RECIPES[-1:], macs, 5, evaluate, lambda _: ranking)
    assert found.chosen.float_layers == ("layer0", "layer2")


@given(costs, st.integers(0, 60))
def test_a_strategy_proposes_in_place_of_binary_search(costs, target) -> None:
    macs, loss, evaluate = network(costs)
    seen: list[Candidate] = []

    class OneByOne:
        """One layer more in float at each step; its scores are those of the ranking."""

        def __init__(self, ranking) -> None:
            assert [score for _, score in ranking] == sorted(-loss[name] for name in macs)
            self.layers, self.count = [name for name, _ in ranking], 1
            self.judged: list[tuple[bool, float]] = []

        def propose(self):
            over = self.judged and self.judged[-1][0]
            return None if over else frozenset(self.layers[: self.count])

        def judge(self, satisfied, lost) -> None:
            assert (satisfied, lost) == (lost <= target, evaluate(seen[-1]).drop)
            self.judged.append((satisfied, lost))
            self.count += 1

    def measured(candidate: Candidate) -> Measurement:
        seen.append(candidate)
        return evaluate(candidate)

    strategy = FallbackStrategy("OneByOne", OneByOne)
    found = search(RECIPES, macs, target, measured, lambda _: loss, strategy)
    expected = search(RECIPES, macs, target, evaluate, lambda _: loss)
    assert (found.met, found.chosen) == (expected.met, expected.chosen)


def test_a_strategy_that_proposes_no_layer_of_the_network_is_told() -> None:
    macs, loss, evaluate = network([9, 9])

    class Wrong:
        def __init__(self, ranking) -> None:
            pass

        def propose(self):
            return frozenset({"nothing"})

    with pytest.raises(AutoCalibrationError, match=r"roll back \['nothing'\]"):
        search(RECIPES, macs, 0, evaluate, lambda _: loss, FallbackStrategy("Wrong", Wrong))


def test_the_standard_error_is_that_of_paired_differences() -> None:
    baseline, own = np.array([1, 1, 1, 0]), np.array([1, 0, 1, 0])
    found = compared(own, baseline)
    assert (found.accuracy, found.drop, found.samples) == (50.0, 25.0, 4)
    assert found.standard_error == pytest.approx(100 * np.std([0, 1, 0, 0], ddof=1) / 2)
    assert compared(own, own).standard_error == 0
    assert compared(0.5, 0.75).standard_error is None


def test_a_search_killed_after_any_result_ends_like_one_that_was_not(tmp_path: Path) -> None:
    macs, loss, evaluate = network([1, 8, 3, 0, 5])

    def run(path: Path, lives: int):
        journal = Journal(str(path), "key")

        def measured(candidate: Candidate):
            nonlocal lives

            def compute():
                nonlocal lives
                lives -= 1
                if lives < 0:
                    raise KeyboardInterrupt
                return attrs.asdict(evaluate(candidate))

            return Measurement(**journal.remember(str(candidate), compute))

        return search(RECIPES, macs, 4, measured, lambda _: loss)

    whole = run(tmp_path / "whole", 1000)
    for lives in range(len(whole.tried)):
        path = tmp_path / str(lives)
        with pytest.raises(KeyboardInterrupt):
            run(path, lives)
        assert run(path, len(whole.tried) - lives) == whole


def test_a_journal_of_other_inputs_is_begun_anew(tmp_path: Path) -> None:
    path = str(tmp_path / "journal.json")
    assert Journal(path, "a").remember("x", lambda: 1) == 1
    assert Journal(path, "a").remember("x", lambda: 2) == 1
    assert Journal(path, "b").remember("x", lambda: 3) == 3
    assert json.loads(Path(path).read_text())["key"] == "b"


def test_a_file_that_is_no_journal_is_named(tmp_path: Path) -> None:
    path = tmp_path / "journal.json"
    path.write_text("[]")
    with pytest.raises(FileFormatError, match=r"journal\.json"):
        Journal(str(path), "a")
