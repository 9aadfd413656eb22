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

    def read_rows(self, rows: Mapping[str, int]) -> Iterator[Batch]:
        """Yield the arrays that ``rows`` names, in order, so many rows of each at a time.

        Raises:
            ModelError: the numbers differ, and this source reads all inputs in equal parts.
        """
        if len(set(rows.values())) != 1:
            raise ModelError(
                f"these data cannot be read in batches of {dict(rows)} rows.",
                remedy="Give an .npz file with one array per network input.",
            )
        return self.read(next(iter(rows.values())))

    @property
    def rows_of_batch(self) -> Optional[Mapping[str, int]]:
        """How many rows of each array belong together; None where the source does not know."""
        return None

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

    def _equal_rows(self, batch_size: int) -> Mapping[str, int]:
        """Return ``batch_size`` for each array; raise an error where their lengths differ."""
        return dict.fromkeys(self.lengths, batch_size if self.samples else 0)

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
        return self.read_rows(self._equal_rows(batch_size))

    def read_rows(self, rows: Mapping[str, int]) -> Iterator[Batch]:
        """Yield views."""
        for index in range(batch_count(self.lengths, rows)):
            yield {n: self.arrays[n][index * c : (index + 1) * c] for n, c in rows.items()}


def batch_count(lengths: Mapping[str, int], rows: Mapping[str, int]) -> int:
    """Return how many batches of so many rows there are, the last one perhaps smaller."""
    return max(-(-lengths[name] // count) for name, count in rows.items())
