"""Shows how a training comes on: a bar where somebody looks at it, lines elsewhere."""

from __future__ import annotations

import datetime
import logging
import sys
import time
from collections import deque
from typing import Any, Deque, Dict, Iterable, Optional

from amct_caffe.model.formats.prototxt.solver import Solver
from amct_caffe.runtime.caffe_scores import ScoreReader
from amct_caffe.runtime.metrics import Metrics
from amct_core.supervision.watch import current

_log = logging.getLogger("amct_caffe.training")

_SECONDS_BETWEEN_LINES = 30.0
"""Where the solver says no ``display``."""

_SECONDS_BETWEEN_UPDATES = 0.2
"""Of the bar."""


class LiveView:
    """Reports on the iterations of one solver; a context manager.

    Args:
        solver: pycaffe's.
        settings: what its prototxt says.
        title: of the bar.
        metrics: gets what lines would say.
        ranks: how many processes share each batch.
        says_lines: whether lines are logged; false where somebody else does.
    """

    def __init__(
        self,
        solver: Any,
        settings: Solver,
        title: str = "training",
        metrics: Optional[Metrics] = None,
        ranks: int = 1,
        says_lines: bool = True,
    ) -> None:
        self._solver = solver
        self._settings = settings
        self._display = settings.display
        self._title = title
        self._metrics = metrics
        self._says_lines = says_lines
        self._samples = _batch_size(solver.net) * settings.iter_size * ranks
        self._recent: Deque[float] = deque(maxlen=max(1, settings.average_loss))
        self._scores = ScoreReader(current())
        self._shown: Dict[str, float] = {}
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> LiveView:
        self._began = self._line = self._update = time.monotonic()
        self._first = self._solver.iter
        self._scores.new()
        if sys.stderr.isatty():
            self._bar = _bar()
            self._bar.start()
            self._task = self._bar.add_task(
                self._title, total=self._settings.max_iter, completed=self._first, numbers=""
            )
        return self

    def __exit__(self, *exception: object) -> None:
        self.tested()
        if self._bar is not None:
            self._bar.stop()
        if self._metrics is not None:
            self._metrics.close()

    def iterated(self, losses: Dict[str, float], loss: float) -> None:
        """Report an iteration whose gradients are there.

        Args:
            losses: the losses by blob, multiplied by their weights.
            loss: their sum.
        """
        self._recent.append(loss)
        now, number = time.monotonic(), self._solver.iter
        if self._bar is not None and now - self._update >= _SECONDS_BETWEEN_UPDATES:
            self._update = now
            self._bar.update(self._task, completed=number, numbers=self._numbers(now))
        if self._is_due(now, number):
            self._line = now
            if self._bar is None and self._says_lines:
                _log.info(
                    "iteration %d of %d: %s, %s left",
                    number,
                    self._settings.max_iter,
                    self._numbers(now),
                    self._left(now),
                )
            if self._metrics is not None:
                self._write(losses, now)

    def tested(self) -> None:
        """Report the scores of TEST passes, if there are new ones."""
        for scores in self._scores.new():
            self._shown = scores.outputs
            if self._bar is None:
                _log.info("iteration %d: TEST %s", scores.iteration, _listed(scores.outputs, "="))
            if self._metrics is not None:
                self._metrics.write(iteration=scores.iteration, net=scores.net, test=scores.outputs)

    def _is_due(self, now: float, number: int) -> bool:
        if self._display:
            return number % self._display == 0
        return now - self._line >= _SECONDS_BETWEEN_LINES

    @property
    def _smoothed(self) -> float:
        """Caffe's smoothed loss: the mean of the last ``average_loss`` ones."""
        return sum(self._recent) / len(self._recent)

    def _numbers(self, now: float) -> str:
        parts = [f"loss {self._smoothed:.4g}"]
        rate = getattr(self._solver, "lr", None)  # not every Caffe tells
        if rate:
            parts.append(f"lr {rate:.3g}")
        speed = self._speed(now)
        if speed is not None:
            images = speed * self._samples
            parts.append(f"{images:.0f} images/s" if images >= 1000 else f"{images:.3g} images/s")
        if self._bar is not None and self._shown:
            parts.append(f"TEST {_listed(self._shown, ' ')}")
        return ", ".join(parts)

    def _speed(self, now: float) -> Optional[float]:
        """Return iterations per second; None before there is one."""
        done = self._solver.iter - self._first
        return done / (now - self._began) if done and now > self._began else None

    def _left(self, now: float) -> str:
        speed = self._speed(now)
        if speed is None:
            return "an unknown time"
        seconds = round((self._settings.max_iter - self._solver.iter) / speed)
        return str(datetime.timedelta(seconds=seconds))

    def _write(self, losses: Dict[str, float], now: float) -> None:
        assert self._metrics is not None
        rate = getattr(self._solver, "lr", None)
        self._metrics.write(
            self._solver.net,
            iteration=self._solver.iter,
            loss=self._smoothed,
            losses=losses,
            lr=None if rate is None else float(rate),
            seconds=round(now - self._began, 3),
        )


def _bar() -> Any:
    """Return a bar with the numbers in a line of their own: a terminal has 80 columns."""
    from rich.console import Console, RenderableType
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Bar(Progress):
        def get_renderables(self) -> Iterable[RenderableType]:
            yield from super().get_renderables()
            for task in self.tasks:
                yield Text(task.fields["numbers"])

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    return Bar(*columns, TimeRemainingColumn(), console=console, transient=True)


def _batch_size(net: Any) -> int:
    """Return the samples of one batch: the first size of the first blob, which is of the data."""
    for blob in net.blobs.values():
        return int(blob.shape[0]) if len(blob.shape) else 1
    return 1


def _listed(numbers: Dict[str, float], sign: str) -> str:
    space = " " if sign == "=" else ""
    return ", ".join(f"{name}{space}{sign}{space}{value:.5g}" for name, value in numbers.items())
