"""Work shared out over as many threads as Caffe's BLAS uses.

Threads of our own that sleep between two pieces of work.  numba's own, where they are OpenMP's,
wait by spinning, and so do those of OpenBLAS after each product: on the same cores each takes the
other's time, and convolutions become several times slower.

They are kept off the core of the thread that wakes them.  While OpenBLAS's threads wait actively,
the other cores look busy, so the system would often put a thread that wakes on the core of the one
that wakes it: one of the two then waits for the other, and two threads are no faster than one.
"""

from __future__ import annotations

import functools
import itertools
import logging
import os
import threading
from queue import SimpleQueue
from typing import Callable, List, Optional

from amct_core.kernels.cores import current_core, keep_off

_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
_RANGES = 8
"""Ranges per thread: the last one to end makes the others wait for an eighth of its share."""

_log = logging.getLogger("amct_core.kernels")

Work = Callable[[int, int], None]


def thread_count() -> int:
    """Return the threads that BLAS is told to use; the cores of this process if it is not told."""
    for variable in _VARIABLES:
        given = os.environ.get(variable, "")
        if given.isdigit() and int(given) > 0:
            return int(given)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def share_out(count: int, work: Work, least: int = 1, threads: Optional[int] = None) -> None:
    """Call ``work(begin, end)`` for ranges that cover 0 .. count - 1, at the same time.

    Each thread takes the next range when it has done its last one: what Caffe's BLAS leaves of the
    other cores differs from moment to moment, because its threads wait actively for a while.

    Args:
        count: pieces of work, all alike.
        work: must do the same for each piece, however they are put together, without Python's lock.
        least: pieces that are worth another thread, which takes some 50 microseconds to wake.
        threads: at most so many; by default :func:`thread_count`, as it was at first.

    Raises:
        What ``work`` raised first; the other ranges have been worked on nevertheless.
    """
    parts = count // least
    if parts > 1:
        parts = min(parts, _default_threads() if threads is None else threads)
    if parts <= 1:
        work(0, count)
        return
    turns = _Turns(count, min(count // least, parts * _RANGES), work)
    _helpers().wake(parts - 1, turns)
    turns.take()
    turns.wait()


class _Turns:
    """One piece of work in ranges that threads take one after another."""

    def __init__(self, count: int, ranges: int, work: Work) -> None:
        self._count, self._ranges, self._work = count, ranges, work
        self._taken = itertools.count()  # next() of it is one step under Python's lock
        self._ended: SimpleQueue[Optional[BaseException]] = SimpleQueue()

    def take(self) -> None:
        """Work until all ranges are taken; a thread that wakes too late finds none."""
        count, ranges = self._count, self._ranges
        for index in self._taken:
            if index >= ranges:
                return
            error: Optional[BaseException] = None
            try:
                self._work(count * index // ranges, count * (index + 1) // ranges)
            except BaseException as raised:  # wait() raises it, in the thread that waits
                error = raised
            self._ended.put(error)

    def wait(self) -> None:
        """Return when all ranges have ended; raise the first error."""
        errors = [error for error in (self._ended.get() for _ in range(self._ranges)) if error]
        if errors:
            raise errors[0]


class _Helpers:
    """Threads that sleep until there is work.

    Not ThreadPoolExecutor's: each piece of work would make a future, take several locks and count
    idle threads, 40 microseconds of code that convolutions have driven out of the caches, some
    hundred times in an iteration.
    """

    def __init__(self) -> None:
        self._waiting: SimpleQueue[_Turns] = SimpleQueue()
        self._threads: List[threading.Thread] = []
        self._starting = threading.Lock()
        self._avoided: Optional[int] = None
        self._can_be_placed = True

    def wake(self, count: int, turns: _Turns) -> None:
        """Let ``count`` threads take turns; starts those that are missing."""
        if len(self._threads) < count:
            with self._starting:
                while len(self._threads) < count:
                    self._start()
        if self._can_be_placed:
            self._keep_off_this_core()
        for _ in range(count):
            self._waiting.put(turns)

    def _start(self) -> None:
        name = f"amct-kernels-{len(self._threads) + 1}"
        thread = threading.Thread(target=self._serve, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)
        self._avoided = None

    def _keep_off_this_core(self) -> None:
        core = current_core()
        if core is None or core == self._avoided:
            return
        try:
            keep_off(self._threads, core)
        except OSError as error:  # results do not depend on it, so training goes on
            self._can_be_placed = False
            _log.warning("kernels may be slower: threads cannot be kept off a core: %s", error)
        self._avoided = core

    def _serve(self) -> None:
        while True:
            self._waiting.get().take()


_helpers = functools.cache(_Helpers)
_default_threads = functools.cache(thread_count)

if hasattr(os, "register_at_fork"):
    # A forked process has none of its parent's threads.
    os.register_at_fork(after_in_child=_helpers.cache_clear)
