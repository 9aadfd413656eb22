"""Searches for the cheapest quantization that holds a target: decisions, and a journal."""

from __future__ import annotations

from amct_core.ptq.auto.candidate import Candidate, Measurement, Recipe, compared
from amct_core.ptq.auto.journal import Journal
from amct_core.ptq.auto.roll_back import rolled_back
from amct_core.ptq.auto.search import Outcome, search

__all__ = [
    "Candidate",
    "Journal",
    "Measurement",
    "Outcome",
    "Recipe",
    "compared",
    "rolled_back",
    "search",
]
