"""What the QAT layers do before training starts."""

from __future__ import annotations

from typing import Any


def prepare(*algorithms: Any) -> None:
    """Call ``prepare`` of each algorithm that has one; None stands for no algorithm."""
    for algorithm in algorithms:
        if algorithm is not None and algorithm.prepare is not None:
            algorithm.prepare()
