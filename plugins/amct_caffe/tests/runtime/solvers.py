"""A solver that stands in for Caffe's: it calls back where Caffe does, and snapshots files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np

from amct_caffe.model.formats.prototxt.solver import Solver
from amct_caffe.model.formats.snapshots import snapshot_of
from amct_core.textproto import parse

WHOLE = b"\x12\x0cs.caffemodel"
"""A message of one field, as protobuf writes it."""


class Blob:
    """One blob."""

    def __init__(self, *values: float) -> None:
        self.data = np.array(values, np.float32)

    @property
    def shape(self) -> Tuple[int, ...]:
        return self.data.shape


class Net:
    """A data layer, a quantizer, and a loss of weight 2."""

    def __init__(self) -> None:
        self.blobs: Dict[str, Blob] = {
            "data": Blob(1, 2, 3, 4),
            "hidden": Blob(5),
            "loss": Blob(0.5),
        }
        self.params = {"quantizer": [Blob(3), Blob(-1), Blob(0)]}
        self.top_names = {"source": ["data"], "quantizer": ["hidden"], "loss": ["loss"]}
        self.blob_loss_weights = {"data": 0.0, "hidden": 0.0, "loss": 2.0}


class FakeSolver:
    """Runs iterations that change nothing.

    Args:
        settings: what its prototxt says.
        at: called with the number of each iteration when its forward is done.
        iteration: the one that it begins with.
        content: of the files of a snapshot.
    """

    def __init__(
        self,
        settings: Solver,
        at: Callable[[int], None] = lambda number: None,
        iteration: int = 0,
        content: bytes = WHOLE,
    ) -> None:
        self.settings, self.at, self.iter, self.content = settings, at, iteration, content
        self.net = Net()
        self.lr = 0.25
        self.callbacks: List[Tuple[Callable[[], Any], Callable[[], Any]]] = []

    def add_callback(self, start: Callable[[], Any], gradients: Callable[[], Any]) -> None:
        self.callbacks.append((start, gradients))

    def snapshot(self) -> None:
        found = snapshot_of(self.settings, self.iter)
        Path(found.weights).write_bytes(self.content)
        Path(found.state).write_bytes(self.content)

    def solve(self) -> None:
        while self.iter < self.settings.max_iter:
            for start, _ in self.callbacks:
                start()
            self.at(self.iter)
            for _, gradients in self.callbacks:
                gradients()
            self.iter += 1
            interval = self.settings.snapshot_interval
            if (interval and self.iter % interval == 0) or self.iter == self.settings.max_iter:
                self.snapshot()


def settings(text: str, file: Optional[str] = "solver.prototxt") -> Solver:
    """Return what a solver's prototxt says; snapshots are called ``s_iter_...``."""
    return Solver(parse(f'snapshot_prefix: "s" {text}'), file)
