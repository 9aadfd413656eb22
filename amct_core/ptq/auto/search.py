"""The search: recipes first, then layers in float, as few as hold the target.

1. All layers int8 with each recipe in turn; the first that holds the target ends the search.
2. With the best recipe: layers ranked by sensitivity, and binary search for the shortest prefix of
   the worst whose return to float holds; or a strategy of a plugin instead of binary search.
3. Greedy: each of the layers found, least sensitive first, returns to int8 if the target holds.

Every decision is a function of measured values, so a search that is repeated with the same values
takes the same steps.
"""

from __future__ import annotations

from typing import Callable, Dict, Mapping, Optional, Sequence, Tuple

import attrs

from amct_core.contracts.fallbacks import CheckedFallback
from amct_core.extensions.fallback import FallbackStrategy, Ranking
from amct_core.ptq.auto.candidate import Candidate, Measurement, Recipe
from amct_core.ptq.auto_calibration.search import RolledBack, Verdict
from amct_core.ptq.auto_calibration.search import search as search_layers

Evaluate = Callable[[Candidate], Measurement]
Rank = Callable[[Recipe], Mapping[str, float]]


@attrs.frozen
class Outcome:
    """What a search has found.

    Attributes:
        tried: every candidate with its measurement, in the order they were tried.
        chosen: the one with the fewest MACs in float of those that hold the target; where none
            does, the most accurate.
        met: whether it holds the target.
    """

    tried: Tuple[Tuple[Candidate, Measurement], ...]
    chosen: Candidate
    met: bool


def search(
    recipes: Sequence[Recipe],
    macs: Mapping[str, int],
    max_drop: float,
    evaluate: Evaluate,
    rank: Rank,
    strategy: Optional[FallbackStrategy] = None,
) -> Outcome:
    """Search.

    Args:
        recipes: at least one, in the order they are tried.
        macs: multiply-accumulates of each quantizable layer, in network order.
        max_drop: how many points of accuracy may be lost.
        evaluate: measures a candidate; called once for each.
        rank: sensitivity of each layer, larger is worse; called only if no recipe is enough.
        strategy: proposes which layers stay in float; None: binary search.  It is told the points
            of accuracy that a candidate loses.

    Raises:
        AutoCalibrationError: the strategy proposes what is no layer, or something twice.
    """
    return _Search(tuple(recipes), macs, max_drop, evaluate).run(rank, strategy)


@attrs.define(eq=False)
class _Search:
    recipes: Tuple[Recipe, ...]
    macs: Mapping[str, int]
    max_drop: float
    evaluate: Evaluate
    tried: Dict[Candidate, Measurement] = attrs.field(factory=dict)

    def run(self, rank: Rank, strategy: Optional[FallbackStrategy]) -> Outcome:
        for recipe in self.recipes:
            if self.holds(recipe, ()):
                return self.outcome()
        best = min(self.recipes, key=lambda each: self.tried[Candidate(each)].drop)
        sensitivity = rank(best)
        order = sorted(self.macs, key=lambda name: -sensitivity[name])
        kept: Sequence[str]
        if strategy is None:
            kept = order[: self.shortest_prefix(best, order) or 0]
        else:
            kept = self.proposed(best, [(name, -sensitivity[name]) for name in order], strategy)
        self.requantize(best, kept)
        return self.outcome()

    def proposed(
        self, recipe: Recipe, ranking: Ranking, strategy: FallbackStrategy
    ) -> Sequence[str]:
        """Return the layers that a strategy leaves in float, most sensitive first; none: none do.

        Args:
            recipe: of the layers in integers.
            ranking: layers with scores, the most sensitive first: scores ascend.
            strategy: what proposes.
        """

        def judge(names: RolledBack) -> Verdict:
            holds = self.holds(recipe, tuple(names))
            return Verdict(holds, self.tried[self.candidate(recipe, tuple(names))].drop)

        started = CheckedFallback.start(strategy, ranking)
        found = search_layers(started, tuple(self.macs), judge) or frozenset()
        return [name for name, _ in ranking if name in found]

    def shortest_prefix(self, recipe: Recipe, order: Sequence[str]) -> Optional[int]:
        """Return how many of the worst layers have to be in float; None: no number is enough.

        At least one layer stays in integers: without any there is nothing to save.
        """
        low, high, found = 1, len(order) - 1, None
        while low <= high:
            middle = (low + high) // 2
            if self.holds(recipe, order[:middle]):
                found, high = middle, middle - 1
            else:
                low = middle + 1
        return found

    def requantize(self, recipe: Recipe, kept: Sequence[str]) -> None:
        """Return layers to int8, the least sensitive first, where the target holds without.

        Args:
            recipe: of the layers in integers.
            kept: the layers in float, the most sensitive first.
        """
        remaining = list(kept)
        for name in reversed(kept):
            fewer = [each for each in remaining if each != name]
            if self.holds(recipe, fewer):
                remaining = fewer

    def holds(self, recipe: Recipe, float_layers: Sequence[str]) -> bool:
        candidate = self.candidate(recipe, float_layers)
        if candidate not in self.tried:
            self.tried[candidate] = self.evaluate(candidate)
        return self.tried[candidate].drop <= self.max_drop

    def candidate(self, recipe: Recipe, float_layers: Sequence[str]) -> Candidate:
        return Candidate(recipe, tuple(name for name in self.macs if name in float_layers))

    def outcome(self) -> Outcome:
        good = [each for each, found in self.tried.items() if found.drop <= self.max_drop]
        if good:
            chosen = min(good, key=lambda each: (self.float_macs(each), self.tried[each].drop))
        else:
            chosen = min(self.tried, key=lambda each: self.tried[each].drop)
        return Outcome(tuple(self.tried.items()), chosen, bool(good))

    def float_macs(self, candidate: Candidate) -> int:
        return sum(self.macs[name] for name in candidate.float_layers)
