"""Reads the scores of TEST passes from Caffe's log: means over all batches, which nothing else has.

Source: ``Solver::Test`` of BVLC Caffe.
"""

from __future__ import annotations

import re
from typing import Dict, List, NamedTuple

from amct_core.supervision.watch import Watch

_TESTING = re.compile(r"\] Iteration (\d+), Testing net \(#(\d+)\)")
_OUTPUT = re.compile(r"\]     Test net output #\d+: (?P<name>.+?) = (?P<value>\S+)")


class Scores(NamedTuple):
    """Outputs of one testing net after so many iterations; of an array, its first value."""

    iteration: int
    net: int
    outputs: Dict[str, float]


class ScoreReader:
    """Returns each score once.

    Args:
        watch: keeps Caffe's log; where it is not on, there are no scores.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._read = 0

    def new(self) -> List[Scores]:
        """Return the scores that the log has got since the last call."""
        text = self._watch.log_from(self._read)
        whole = text.rfind(b"\n") + 1
        self._read += whole
        found: List[Scores] = []
        for line in text[:whole].decode("utf-8", "replace").splitlines():
            begun = _TESTING.search(line)
            if begun:
                found.append(Scores(int(begun[1]), int(begun[2]), {}))
                continue
            output = _OUTPUT.search(line)
            if output and found:
                found[-1].outputs.setdefault(output["name"], float(output["value"]))
        return [scores for scores in found if scores.outputs]
