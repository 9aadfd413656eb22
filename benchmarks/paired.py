"""Times of steps that take turns in one process, and what is reported of them.

Whatever else the machine does hits all steps alike, and each round is a pair of its own; so the
median of the rounds' ratios says more than a ratio of medians.  Standard library only: the peers'
environments use it as well.
"""

from __future__ import annotations

import statistics
import time
from typing import Any, Callable, Dict, List, Mapping

Times = Dict[str, List[float]]
"""Milliseconds of each round, by step."""

_PAUSE = 0.1
"""Seconds.  OpenBLAS's threads, for one, wait actively for 2**26 ticks: some 25 milliseconds."""


def in_turn(steps: Mapping[str, Callable[[], Any]], rounds: int, warm_up: int = 1) -> Times:
    """Return the times of each step.

    Each round starts with another step, so that none always follows the same one.  Between two
    steps the process sleeps until the threads of the one that has ended do, too; then the next one
    runs once before it is timed, which wakes its own threads and fills the caches, as in a stream
    of batches.

    Args:
        steps: what to run.
        rounds: how often each step is timed.
        warm_up: how often each step runs before that.
    """
    names = list(steps)
    for name in names * warm_up:
        steps[name]()
    times: Times = {name: [] for name in names}
    for index in range(rounds):
        first = index % len(names)
        for name in names[first:] + names[:first]:
            time.sleep(_PAUSE)
            steps[name]()
            start = time.perf_counter()
            steps[name]()
            times[name].append(round((time.perf_counter() - start) * 1000, 3))
    return times


def medians(times: Times) -> Dict[str, float]:
    """Return the median of each step, in milliseconds."""
    return {name: round(statistics.median(own), 2) for name, own in times.items()}


def ratio(times: Times, above: str, below: str) -> Dict[str, Any]:
    """Return the median and the quartiles of the ratios of two steps, over two rounds or more."""
    ratios = [a / b for a, b in zip(times[above], times[below])]
    low, _, high = statistics.quantiles(ratios, n=4)
    return {
        "paired_ratio": round(statistics.median(ratios), 3),
        "paired_ratio_quartiles": [round(low, 3), round(high, 3)],
    }
