"""Binary search for the fewest of the most sensitive layers that have to stay in float."""

from __future__ import annotations

from typing import FrozenSet, Optional, Tuple

from amct_core.extensions.fallback import Ranking


class BinarySearch:
    """The search of AMCT: candidates are the first layers of the ranking, as many as needed.

    With ``n`` layers, ``left = 0`` and ``right = n - 1``, a candidate rolls back layers ``0..mid``
    with ``mid = (left + right) // 2``; one that satisfies sets ``right = mid - 1``, one that does
    not ``left = mid + 1``.  That takes at most ``floor(log2 n) + 1`` candidates.

    It finds the fewest layers where a longer prefix never does worse than a shorter one; where it
    does, the last candidate that satisfied is still one that satisfies.  Rolling back every layer
    is never proposed: nothing would be quantized.

    Args:
        ranking: layers with scores, the most sensitive first.
    """

    def __init__(self, ranking: Ranking) -> None:
        self._layers: Tuple[str, ...] = tuple(layer for layer, _ in ranking)
        self._left, self._right = 0, len(self._layers) - 1

    def propose(self) -> Optional[FrozenSet[str]]:
        """Return the layers to roll back next; None when the search is over."""
        if self._left > self._right or self._middle == len(self._layers) - 1:
            return None
        return frozenset(self._layers[: self._middle + 1])

    def judge(self, satisfied: bool, loss: float) -> None:
        """Halve what is left of the range; the size of ``loss`` does not matter."""
        if satisfied:
            self._right = self._middle - 1
        else:
            self._left = self._middle + 1

    @property
    def _middle(self) -> int:
        return (self._left + self._right) // 2
