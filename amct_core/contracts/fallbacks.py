"""The contract of :class:`~amct_core.extensions.FallbackStrategy`, as far as it can fail.

What it may propose, the search checks (:mod:`amct_core.ptq.auto_calibration.search`).
"""

from __future__ import annotations

from typing import Any, FrozenSet, Optional

import attrs

from amct_core.contracts.usage import Usage, shown
from amct_core.extensions.fallback import FallbackStrategy, Ranking


@attrs.define(eq=False)
class CheckedFallback:
    """One search over one network; methods as those of ``FallbackSearch``."""

    usage: Usage
    search: Any

    @classmethod
    def start(cls, strategy: FallbackStrategy, ranking: Ranking) -> CheckedFallback:
        """Start a search."""
        usage = Usage(strategy)
        with usage.running("start"):
            return cls(usage, strategy.start(ranking))

    def propose(self) -> Optional[FrozenSet[str]]:
        """Return the layers that the next candidate leaves in float; None: the search is over.

        Raises:
            PluginError: the strategy fails, or proposes something else than a set of names.
        """
        with self.usage.running("propose"):
            found = self.search.propose()
        if found is None:
            return None
        if not isinstance(found, (frozenset, set)):
            raise self.usage.error(
                f"propose returned {shown(found)}; expected a frozenset of layers, or None."
            )
        return frozenset(found)

    def judge(self, satisfied: bool, loss: float) -> None:
        """Tell the strategy how its candidate did."""
        with self.usage.running("judge"):
            self.search.judge(satisfied, loss)
