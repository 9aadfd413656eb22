"""Few cases that hold every pair of choices."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Choice = dict[str, Any]
Pair = tuple[tuple[str, int], tuple[str, int]]
"""Two factors in alphabetical order, each with the index of its value."""


def pairwise(factors: Mapping[str, Sequence[Any]], seed: int = 0) -> list[Choice]:
    """Return choices of one value per factor, so that any two values of two factors meet in one.

    Greedy: of 60 random choices the one that brings the most new pairs.  The same for the same
    factors and seed.
    """
    generator = random.Random(seed)
    open_pairs = [
        ((first, i), (second, j))
        for first, second in itertools.combinations(sorted(factors), 2)
        for i in range(len(factors[first]))
        for j in range(len(factors[second]))
    ]
    open_pairs.sort()
    chosen = []
    while open_pairs:
        # Each candidate holds one of the open pairs, so that every round gets on.
        candidates = [
            {
                **{name: generator.randrange(len(values)) for name, values in factors.items()},
                **dict(generator.choice(open_pairs)),
            }
            for _ in range(60)
        ]
        best = _with_most_of(frozenset(open_pairs), candidates)
        met = set(_pairs(best))
        open_pairs = [pair for pair in open_pairs if pair not in met]
        chosen.append({name: factors[name][index] for name, index in best.items()})
    return chosen


def _with_most_of(wanted: frozenset[Pair], candidates: list[dict[str, int]]) -> dict[str, int]:
    return max(candidates, key=lambda each: sum(pair in wanted for pair in _pairs(each)))


def _pairs(choice: Mapping[str, int]) -> Iterator[Pair]:
    return itertools.combinations(sorted(choice.items()), 2)
