"""Keeps signals away from steps that belong together."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from types import FrameType
from typing import Dict, Iterator, List, Optional, Union

_Handler = Union[signal.Handlers, "signal._HANDLER"]

_DEFERRED = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
"""SIGINT last: its handler is the one that raises, and is given back when the others are."""


@contextlib.contextmanager
def deferred_signals() -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP wait for the end of the block.

    They arrive then, one of each kind.  A block of signals in the thread would not do: other
    threads of the process, such as those of a BLAS, would take them, and Python's handler would run
    all the same.  Only the main thread runs handlers; in another one nothing needs to be done.  A
    handler that was not set from Python cannot be given back, and stays.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: List[int] = []

    def note(number: int, _frame: Optional[FrameType]) -> None:
        arrived.append(number)

    replaced: Dict[signal.Signals, _Handler] = {}
    try:
        for number in _DEFERRED:
            handler = signal.getsignal(number)
            if handler is not None and handler != signal.SIG_IGN:
                replaced[number] = handler
                signal.signal(number, note)
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)
        for arrival in dict.fromkeys(arrived):
            os.kill(os.getpid(), arrival)
