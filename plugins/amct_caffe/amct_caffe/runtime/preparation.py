"""What the QAT layers do before training starts."""

from __future__ import annotations

from typing import Optional

from amct_core.contracts import preparation


def prepare(layer: str, *algorithms: Optional[preparation.Prepared]) -> None:
    """Let each algorithm prepare for ``layer``; None stands for no algorithm."""
    for algorithm in algorithms:
        if algorithm is not None:
            preparation.prepare(algorithm, layer)
