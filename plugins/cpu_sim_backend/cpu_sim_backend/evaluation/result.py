"""What an evaluation has found."""

from __future__ import annotations

import math
from typing import Any, Dict, Optional, Tuple

import attrs


@attrs.frozen
class OutputResult:
    """One blob of one column, beside that of float32.

    Attributes:
        blob: its name.
        snr: signal-to-noise ratio in decibels, ``10 log10(sum(x**2) / sum((x - y)**2))``; infinite
            where nothing differs; NaN where the signal is 0 and something differs, values are not
            finite, or shapes differ.
        same_decisions: places whose largest channel (axis 1) is the same.
        places: how many there are: one per sample for a row of scores, one per pixel for a map of
            them; 0 where the blob holds neither, or has another shape than in float32.
    """

    blob: str
    snr: float
    same_decisions: int
    places: int

    def as_json(self) -> Dict[str, Any]:
        """Return what ``--json`` prints."""
        return {
            "blob": self.blob,
            "snr": self.snr if math.isfinite(self.snr) else None,
            "identical": self.snr == math.inf,
            "same_decisions": self.same_decisions,
            "places": self.places,
        }


@attrs.frozen
class ColumnResult:
    """One way of computing the network.

    Attributes:
        name: ``float32``, ``retrained``, ``fake-quant``, ``integer``, or that of a processor.
        description: what was run, in words.
        right: by k, for how many samples the label is among the k largest scores.
        metrics: by ``module:function``, what it gave, or the mean of that over samples.
        outputs: beside float32's.
    """

    name: str
    description: str
    right: Tuple[Tuple[int, int], ...]
    metrics: Tuple[Tuple[str, float], ...]
    outputs: Tuple[OutputResult, ...]

    def as_json(self, judged: int) -> Dict[str, Any]:
        """Return what ``--json`` prints; ``judged`` is the number of samples with a label."""
        return {
            "name": self.name,
            "description": self.description,
            "top_k": {
                str(k): {"right": right, "share": right / judged if judged else None}
                for k, right in self.right
            },
            "metrics": dict(self.metrics),
            "outputs": [output.as_json() for output in self.outputs],
        }


@attrs.frozen
class Evaluation:
    """The whole of it.

    Attributes:
        samples: how many were run.
        labels: where labels are from, in words; None: there are none.
        judged: how many samples have a label that counts.
        scores: the blob that labels are compared with; None: none is.
        columns: float32 first.
        left_out: columns that could not be run, and why.
        files: of each sample, where each has one.
        not_judged: why labels are compared with nothing; None: they are, or there are none, or a
            metric judges.
    """

    samples: int
    labels: Optional[str]
    judged: int
    scores: Optional[str]
    columns: Tuple[ColumnResult, ...]
    left_out: Tuple[Tuple[str, str], ...] = ()
    files: Optional[Tuple[str, ...]] = None
    not_judged: Optional[str] = None

    def column(self, name: str) -> ColumnResult:
        """Return the column called ``name``."""
        return next(column for column in self.columns if column.name == name)

    def as_json(self) -> Dict[str, Any]:
        """Return what ``--json`` prints."""
        found: Dict[str, Any] = {
            "samples": self.samples,
            "labels": self.labels,
            "judged": self.judged,
            "not_judged": self.not_judged,
            "scores": self.scores,
            "columns": [column.as_json(self.judged) for column in self.columns],
            "left_out": dict(self.left_out),
        }
        if self.files is not None:
            found["files"] = list(self.files)
        return found
