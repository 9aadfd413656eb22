"""The contract of :class:`~amct_core.extensions.ShiftSearch`."""

from __future__ import annotations

from typing import Any, Callable, Optional

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.contracts.usage import Usage, shown
from amct_core.extensions import ShiftSearch
from amct_core.numerics.arrays import channel_list
from amct_core.numerics.shift_search import MAX_SHIFT, MIN_SHIFT


@attrs.define(eq=False)
class CheckedSearch:
    """One search for one layer.

    Attributes:
        usage: the search, and the layer.
        searcher: what it has started.
        count: how many N there are.
    """

    usage: Usage
    searcher: Any
    count: int

    @classmethod
    def start(
        cls,
        search: ShiftSearch,
        deq_scale: NDArray[np.float32],
        broadcast: bool,
        layer: Optional[str],
    ) -> CheckedSearch:
        """Start a search; arguments as ``search.start`` takes them, and the layer's name."""
        assert search.start is not None
        usage = Usage(search, layer)
        with usage.running("start"):
            searcher = search.start(deq_scale, broadcast)
        return cls(usage, searcher, len(deq_scale))

    def observe(self, y: NDArray[np.float32]) -> None:
        """Take in one batch of outputs."""
        with self.usage.running("observe"):
            self.searcher.observe(y)

    def combine(self, combine: Callable[[Any, Any], None], reduction: Any) -> None:
        """Take in what all processes have observed."""
        with self.usage.running("combine"):
            combine(self.searcher, reduction)

    def result(self) -> NDArray[np.uint8]:
        """Return N, uint8, one per entry of ``deq_scale``: all 0, or each in 1..16.

        Raises:
            PluginError: the search fails, or gives something else.
        """
        with self.usage.running("result"):
            found = self.searcher.result()
        shifts = np.asarray(found)
        if found is None or shifts.dtype.kind not in "iu" or shifts.shape != (self.count,):
            raise self.usage.error(
                f"result gave {_values(found)} as N; expected an array of {self.count} integers, "
                "one per entry of deq_scale."
            )
        wrong = (shifts < MIN_SHIFT) | (shifts > MAX_SHIFT)
        if wrong.any() and shifts.any():
            raise self.usage.error(
                f"result gave N = {shifts[wrong][0]} for {channel_list(wrong)}; expected each in "
                f"{MIN_SHIFT}..{MAX_SHIFT}, or 0 for all channels."
            )
        return shifts.astype(np.uint8)


def _values(found: Any) -> str:
    if isinstance(found, np.ndarray) and found.size and found.dtype.kind == "f":
        return f"{shown(found)} with {found.flat[0]:.6g} in it"
    return shown(found)
