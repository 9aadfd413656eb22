"""The search itself: candidates are proposed, tried and judged until the strategy is done."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Callable, Collection, FrozenSet, List, Optional

import attrs

from amct_core.contracts.fallbacks import CheckedFallback
from amct_core.errors import AutoCalibrationError

if TYPE_CHECKING:
    from amct_core.extensions.fallback import FallbackSearch

RolledBack = FrozenSet[str]
"""The layers that a candidate leaves in float."""


@attrs.frozen
class Verdict:
    """What the user's ``metric_eval`` says of a candidate.

    Attributes:
        satisfied: whether it meets the requirement.
        loss: what it loses; NaN where the user's metric is.
    """

    satisfied: bool
    loss: float


def search(
    strategy: FallbackSearch, layers: Collection[str], judge: Callable[[RolledBack], Verdict]
) -> Optional[RolledBack]:
    """Return the best candidate, or None where none satisfies.

    That is the one which satisfies and rolls back the fewest layers, the later of equals.  A
    candidate that rolls back everything ends the search untried: nothing would be quantized.

    Args:
        strategy: what proposes.
        layers: the layers that are quantized where nothing is rolled back.
        judge: tries one candidate.

    Raises:
        AutoCalibrationError: the strategy proposes other layers, or a candidate a second time.
        PluginError: the strategy fails.
    """
    best: Optional[RolledBack] = None
    tried: List[RolledBack] = []
    while True:
        proposal = strategy.propose()
        if proposal is None or proposal >= frozenset(layers):
            return best
        with _named(strategy):
            _check(proposal, layers, tried)
        tried.append(proposal)
        verdict = judge(proposal)
        strategy.judge(verdict.satisfied, verdict.loss)
        if verdict.satisfied and (best is None or len(proposal) <= len(best)):
            best = proposal


def _named(strategy: FallbackSearch) -> AbstractContextManager[None]:
    """Return what gives an error the names of the strategy and of its plugin."""
    if isinstance(strategy, CheckedFallback):
        return strategy.usage.running("propose")
    return nullcontext()


def _check(proposal: RolledBack, layers: Collection[str], tried: Collection[RolledBack]) -> None:
    unknown = sorted(proposal.difference(layers))
    if unknown:
        raise AutoCalibrationError(
            f"it proposes to roll back {unknown}; expected layers of the ranking.",
            field="strategy",
            remedy="Correct the strategy.",
        )
    if proposal in tried:
        raise AutoCalibrationError(
            f"it proposes to roll back {sorted(proposal)} a second time; the search would not end.",
            field="strategy",
            remedy="Correct the strategy: with each judgement it has to come closer to its end.",
        )
