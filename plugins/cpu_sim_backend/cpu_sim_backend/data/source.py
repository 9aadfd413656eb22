"""What a data set is to the simulation: samples in order, read batch by batch."""

from __future__ import annotations

import abc
from typing import Any, Dict, Iterator, Mapping, Optional, Sequence

import attrs
from numpy.typing import NDArray

from amct_core.errors import ModelError

Array = NDArray[Any]
Batch = Dict[str, Array]


class DataSource(abc.ABC):
    """One array per network input, read in batches; may be read any number of times."""

    @property
    @abc.abstractmethod
    def lengths(self) -> Mapping[str, int]:
        """The number of samples of each array, by blob name."""

    @abc.abstractmethod
    def read(self, batch_size: int) -> Iterator[Batch]:
        """Yield the samples in order, at most ``batch_size`` at a time."""

    @property
    def samples(self) -> int:
        """The number of samples.

        Raises:
            ModelError: arrays differ in it, or there is none.
        """
        counts = dict(self.lengths)
        if not counts or len(set(counts.values())) != 1 or 0 in counts.values():
            raise ModelError(
                f"the arrays have {counts} samples; expected the same number, above 0, for each.",
                remedy="Give one array per network input, keyed by blob name.",
            )
        return next(iter(counts.values()))

    @property
    def files(self) -> Optional[Sequence[str]]:
        """The file that each sample comes from, where each has its own; else None."""
        return None


@attrs.frozen(eq=False)
class ArraySource(DataSource):
    """Arrays in memory."""

    arrays: Mapping[str, Array]

    @property
    def lengths(self) -> Mapping[str, int]:
        """The number of samples of each array."""
        return {name: len(array) for name, array in self.arrays.items()}

    def read(self, batch_size: int) -> Iterator[Batch]:
        """Yield views."""
        for start in range(0, self.samples, batch_size):
            yield {name: a[start : start + batch_size] for name, a in self.arrays.items()}
