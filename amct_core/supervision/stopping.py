"""Signals that ask a process to stop, and how it says that it has."""

from __future__ import annotations

import contextvars
import signal
from types import FrameType
from typing import Any, Dict, Optional, Tuple

SIGNALS: Tuple[int, ...] = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""What asks a command to stop: a key, a scheduler, a terminal that is gone."""


class Stopped(KeyboardInterrupt):
    """A signal has stopped what was running.

    Args:
        number: of the signal.
        message: for the user: what was kept, and how to go on.
    """

    def __init__(self, number: int, message: str = "") -> None:
        super().__init__(message)
        self.number = number
        self.message = message or f"Stopped by {signal.Signals(number).name}."

    @property
    def status(self) -> int:
        """The exit status, as shells report the end by this signal."""
        return 128 + self.number

    def __str__(self) -> str:
        return self.message


class StoppedBetweenIterations(Stopped):
    """The same, after a whole iteration, of which a snapshot was written; in all ranks alike."""


def listened_to() -> Tuple[int, ...]:
    """Return those of :data:`SIGNALS` that this process was not started to ignore (``nohup``)."""
    return tuple(each for each in SIGNALS if signal.getsignal(each) != signal.SIG_IGN)


def raise_stopped(number: int, frame: Optional[FrameType]) -> None:
    """Handle a signal: end whatever runs as an exception does."""
    raise Stopped(number)


class StopRequest:
    """Remembers that a signal came, for work that is asked now and then whether it should stop.

    A context manager: while it is open, the first of :data:`SIGNALS` is kept and no exception is
    raised.  Python runs handlers in its own code only, so one that raised would do so in the middle
    of a callback of the framework.

    Args:
        heeds_in_tests: whether :func:`stop_in_test` may raise for it.
    """

    def __init__(self, heeds_in_tests: bool = False) -> None:
        self.number: Optional[int] = None
        self._heeds_in_tests = heeds_in_tests
        self._before: Dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        for number in listened_to():
            self._before[number] = signal.signal(number, self._keep)
        self._token = _IN_TESTS.set(self if self._heeds_in_tests else None)
        return self

    def __exit__(self, *exception: object) -> None:
        _IN_TESTS.reset(self._token)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _keep(self, number: int, frame: Optional[FrameType]) -> None:
        if self.number is None:
            self.number = number


_IN_TESTS: contextvars.ContextVar[Optional[StopRequest]] = contextvars.ContextVar("in_tests")


def stop_in_test() -> None:
    """Leave a TEST pass that a signal has come for, if whoever runs it heeds that.

    For layers to call between batches: a TEST pass is between iterations, and changes nothing that
    training reads.

    Raises:
        Stopped: a signal came.
    """
    request = _IN_TESTS.get(None)
    if request is not None and request.number is not None:
        raise Stopped(request.number)
