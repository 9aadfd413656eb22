"""Which core of the machine a thread runs on, and which ones it may run on.

Where the system does not tell (anything but Linux), nothing is known and nothing is changed.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from typing import Callable, Iterable, Optional


def current_core() -> Optional[int]:
    """Return the number of the core that runs the calling thread; None where it is not known."""
    found = _getcpu()
    return None if found is None else found()


def keep_off(threads: Iterable[threading.Thread], core: int) -> None:
    """Let threads run on the cores of the calling thread, except one if there are others.

    Args:
        threads: that have started and not ended.
        core: that they leave to others.

    Raises:
        OSError: the system does not let this process place its threads.
    """
    allowed = os.sched_getaffinity(0)
    cores = allowed - {core} or allowed
    for thread in threads:
        assert thread.native_id is not None
        os.sched_setaffinity(thread.native_id, cores)


@functools.cache
def _getcpu() -> Optional[Callable[[], int]]:
    if not hasattr(os, "sched_setaffinity"):
        return None
    # PyDLL keeps Python's lock, which takes longer to give and get back than the call itself.
    return getattr(ctypes.PyDLL(None), "sched_getcpu", None)
