"""Few cases that hold every pair of choices."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from typing import Any

Choice = dict[str, Any]


def pairwise(factors: Mapping[str, Sequence[Any]], seed: int = 0) -> list[Choice]:
    """Return choices of one value per factor, so that any two values of two factors meet in one.

    Greedy: of 60 random choices the one that brings the most new pairs.  The same for the same
    factors and seed.
    """
    generator = random.Random(seed)
    open_pairs = {
        frozenset({(first, i), (second, j)})
        for first, second in itertools.combinations(factors, 2)
        for i in range(len(factors[first]))
        for j in range(len(factors[second]))
    }
    chosen = []
    while open_pairs:
        # Each candidate holds one of the open pairs, so that every round gets on.
        candidates = [
            {
                **{name: generator.randrange(len(values)) for name, values in factors.items()},
                **dict(sorted(generator.choice(sorted(map(sorted, open_pairs))))),
            }
            for _ in range(60)
        ]
        best = max(candidates, key=lambda candidate: len(open_pairs & _pairs(candidate)))
        open_pairs -= _pairs(best)
        chosen.append({name: factors[name][index] for name, index in best.items()})
    return chosen


def _pairs(choice: Mapping[str, int]) -> set[frozenset[tuple[str, int]]]:
    return {frozenset(pair) for pair in itertools.combinations(choice.items(), 2)}
