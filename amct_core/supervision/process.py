"""Runs the rest of a command in a process of its own, and waits for its end.

The process is a fork, made before anything heavy is imported: it has the arguments, the paths, the
descriptors (an MPI launcher's connection among them) and the streams of this one.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import tempfile
import time
from types import FrameType
from typing import Any, Dict, Mapping, Optional

import attrs

from amct_core.supervision import watch
from amct_core.supervision.board import Board
from amct_core.supervision.stopping import SIGNALS, listened_to, raise_stopped

_DELIBERATE = 0.5
"""Seconds after a signal from which on another one is a second request.

A launcher and a terminal may both send the same one.
"""

_PR_SET_PDEATHSIG = 1
_TERMINAL_SIGNALS = ("SIGTTOU", "SIGTTIN")


@attrs.frozen
class Ending:
    """How the process ended.

    Attributes:
        status: its exit status; None: a signal ended it.
        signal: that signal; 0: none.
        requested: the signal that the user sent before; 0: none.
        iteration: that training was at, if it had begun.
        facts: what the process left: see :meth:`amct_core.supervision.watch.Watch.tell`.
        log: what the framework wrote.
    """

    status: Optional[int]
    signal: int
    requested: int
    iteration: Optional[int]
    facts: Mapping[str, Any]
    log: str


def can_supervise() -> bool:
    """Return whether this system has what it takes; without it commands run as they are."""
    return hasattr(os, "fork")


def supervise() -> Optional[Ending]:
    """Go on in a fork of this process.

    SIGINT, SIGTERM and SIGHUP are passed on once; a second one ends the fork.  It gets a process
    group of its own, so that a key pressed at the terminal does not reach it twice.

    Returns:
        None in the fork; in this process, once the fork has ended, how it did.
    """
    board = Board()
    with tempfile.TemporaryFile() as log:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        parent = os.getpid()
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        child = os.fork()
        if child == 0:
            _be_watched(parent, board, log.fileno())
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            return None
        with contextlib.suppress(OSError):  # whichever of the two comes first
            os.setpgid(child, child)
        with _Forwarding(child) as forwarding:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            _, status = os.waitpid(child, 0)
        facts = board.facts()
        text = watch.contents(log.fileno())
    if "log" in facts:
        text = _file(facts["log"], facts.get("log_start", 0)) or text
    exited = os.WIFEXITED(status)
    return Ending(
        status=os.WEXITSTATUS(status) if exited else None,
        signal=0 if exited else os.WTERMSIG(status),
        requested=forwarding.number,
        iteration=board.iteration,
        facts=facts,
        log=text.decode("utf-8", "replace"),
    )


def _be_watched(parent: int, board: Board, log: int) -> None:
    """Do what the fork does first."""
    _end_with(parent)
    os.setpgid(0, 0)
    for name in _TERMINAL_SIGNALS:  # a terminal may stop those that write in the background
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    for number in listened_to():
        if number != signal.SIGINT:  # Python's own handler raises KeyboardInterrupt
            signal.signal(number, raise_stopped)
    watch.begin(board, log)


def _end_with(parent: int) -> None:
    """Have the system end this process when ``parent`` is gone, however it went."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _file(path: str, start: int) -> bytes:
    try:
        with open(path, "rb") as stream:
            stream.seek(start)
            return stream.read()
    except OSError:
        return b""  # it was removed meanwhile; the beginning is still there


class _Forwarding:
    """Passes signals on to another process while it is open.

    Attributes:
        number: the first one that was passed on; 0: none.
    """

    def __init__(self, child: int) -> None:
        self._child = child
        self.number = 0
        self._time = 0.0
        self._before: Dict[int, Any] = {}

    def __enter__(self) -> _Forwarding:
        for number in listened_to():
            self._before[number] = signal.signal(number, self._pass_on)
        if signal.getsignal(signal.SIGTSTP) == signal.SIG_DFL:
            self._before[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._pause)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _pass_on(self, number: int, frame: Optional[FrameType]) -> None:
        now = time.monotonic()
        if not self.number:
            self.number, self._time = number, now
            self._send(number)
        elif now - self._time >= _DELIBERATE:
            self._send(signal.SIGKILL, to_group=True)

    def _pause(self, number: int, frame: Optional[FrameType]) -> None:
        """Stop both processes until somebody lets this one go on."""
        self._send(signal.SIGSTOP, to_group=True)
        os.kill(os.getpid(), signal.SIGSTOP)
        self._send(signal.SIGCONT, to_group=True)

    def _send(self, number: int, to_group: bool = False) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it has just ended
            (os.killpg if to_group else os.kill)(self._child, number)
