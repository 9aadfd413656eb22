"""Adds up, batch after batch, how close a column comes to its labels and to float32."""

from __future__ import annotations

import math
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from cpu_sim_backend.evaluation.result import OutputResult
from cpu_sim_backend.scoring.scores import label_ranks

Array = NDArray[Any]
_CHANNELS_ON_AXIS_1 = (2, 4)
"""Ranks of blobs that choose among channels: classes of a sample, or of each pixel."""


@attrs.define
class OutputTally:
    """One blob beside that of float32; sums are in float64."""

    blob: str
    _signal: float = 0.0
    _noise: float = 0.0
    _same: int = 0
    _places: int = 0
    _same_shapes: bool = True

    def add(self, expected: Array, found: Array) -> None:
        """Take in one batch; ``expected`` is float32's."""
        if expected.shape != found.shape:
            self._same_shapes = False
            return
        signal = expected.astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            self._signal += float(np.square(signal).sum())
            self._noise += float(np.square(signal - found).sum())
        if expected.ndim in _CHANNELS_ON_AXIS_1 and expected.shape[1] > 1:
            same = expected.argmax(axis=1) == found.argmax(axis=1)
            self._same += int(np.count_nonzero(same))
            self._places += same.size

    def result(self) -> OutputResult:
        """Return what all batches have given."""
        if not self._same_shapes:
            return OutputResult(self.blob, math.nan, 0, 0)
        return OutputResult(self.blob, self._snr(), self._same, self._places)

    def _snr(self) -> float:
        if self._noise == 0:
            return math.inf
        if not self._signal or not math.isfinite(self._signal) or not math.isfinite(self._noise):
            return math.nan
        return 10 * math.log10(self._signal / self._noise)


@attrs.define
class LabelTally:
    """Counts for how many samples the label is among the largest scores.

    Attributes:
        column: whose scores these are, for messages.
        blob: the scores.
        top_k: among how many; empty: 1, and 5 where there are at least 5 classes.
    """

    column: str
    blob: str
    top_k: Tuple[int, ...]
    _right: Dict[int, int] = attrs.field(factory=dict, init=False)

    def add(self, scores: Array, labels: Array, counts: Array, first: int) -> None:
        """Take in one batch.

        Args:
            scores: (N, classes), perhaps with axes of size 1 behind.
            labels: class indices, (N,).
            counts: which samples are judged, (N,) of bool.
            first: number of the first sample, for messages.
        """
        name = f"{self.blob} of {self.column}"
        ranks = label_ranks(name, scores, np.where(counts, labels, 0), first)[counts]
        for k in self.top_k or default_top_k(scores.shape[1]):
            self._right[k] = self._right.get(k, 0) + int(np.count_nonzero(ranks <= k))

    @property
    def right(self) -> Tuple[Tuple[int, int], ...]:
        """By k, for how many samples."""
        return tuple(sorted(self._right.items()))


def default_top_k(classes: int) -> Sequence[int]:
    """Return which k are counted if nobody says it."""
    return (1, 5) if classes >= 5 else (1,)


def are_scores(scores: Array, labels: Array) -> bool:
    """Return whether ``scores`` have one row of classes for each label."""
    return (
        scores.ndim >= 2
        and scores.shape[0] == len(labels)
        and scores.shape[1] > 1
        and all(size == 1 for size in scores.shape[2:])
    )


@attrs.define
class ColumnTally:
    """All of one column.

    Attributes:
        outputs: by blob.
        labels: None where nothing is judged by labels.
    """

    outputs: Mapping[str, OutputTally]
    labels: Optional[LabelTally]

    @classmethod
    def of(cls, column: str, blobs: Sequence[str], labels: Optional[LabelTally]) -> ColumnTally:
        """Return the tally of a column, which has seen nothing yet."""
        own = None if labels is None else attrs.evolve(labels, column=column)
        return cls({blob: OutputTally(blob) for blob in blobs}, own)

    def add(self, expected: Mapping[str, Array], found: Mapping[str, Array]) -> None:
        """Compare one batch with that of float32."""
        for blob, tally in self.outputs.items():
            tally.add(expected[blob], found[blob])
