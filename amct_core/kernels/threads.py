"""Work shared out over as many threads as Caffe's BLAS uses.

Threads of our own that sleep between two pieces of work.  numba's own, where they are OpenMP's,
wait by spinning, and so do those of OpenBLAS after each product: on the same cores each takes the
other's time, and convolutions become several times slower.
"""

from __future__ import annotations

import functools
import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, Optional

_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
_RANGES = 8
"""Ranges per thread: the last one to end makes the others wait for an eighth of its share."""


def thread_count() -> int:
    """Return the threads that BLAS is told to use; the cores of this process if it is not told."""
    for variable in _VARIABLES:
        given = os.environ.get(variable, "")
        if given.isdigit() and int(given) > 0:
            return int(given)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def share_out(
    count: int, work: Callable[[int, int], None], least: int = 1, threads: Optional[int] = None
) -> None:
    """Call ``work(begin, end)`` for ranges that cover 0 .. count - 1, at the same time.

    Each thread takes the next range when it has done its last one: what Caffe's BLAS leaves of the
    other cores differs from moment to moment, because its threads wait awake for a while.

    Args:
        count: pieces of work, all alike.
        work: must do the same for each piece, however they are put together, without Python's lock.
        least: pieces that are worth another thread, which takes some 50 microseconds to wake.
        threads: at most so many; by default :func:`thread_count`.
    """
    parts = count // least
    if parts > 1:
        parts = min(parts, thread_count() if threads is None else threads)
    if parts <= 1:
        work(0, count)
        return
    ranges = min(count // least, parts * _RANGES)
    taken = itertools.count()

    def take_turns() -> None:
        for index in taken:  # next() of a count is one step for Python's lock
            if index >= ranges:
                return
            work(count * index // ranges, count * (index + 1) // ranges)

    pool = _pool(parts - 1)
    running = [pool.submit(take_turns) for _ in range(parts - 1)]
    try:
        take_turns()
    finally:
        for other in running:
            if not other.cancel():  # one that has not woken yet would find nothing to do
                other.result()


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="amct-kernels")


if hasattr(os, "register_at_fork"):
    # A forked process has none of its parent's threads.
    os.register_at_fork(after_in_child=_pool.cache_clear)
