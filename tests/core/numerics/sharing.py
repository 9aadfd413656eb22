"""Processes that share data, as threads: what a reduction over MPI does, without MPI."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, List, TypeVar

import attrs
import numpy as np
from numpy.typing import ArrayLike, NDArray

Result = TypeVar("Result")


@attrs.define
class ThreadReduction:
    """The reduction of one of several threads; they meet at every question."""

    rank: int
    barrier: threading.Barrier
    board: List[Any]

    def total(self, values: ArrayLike) -> NDArray[np.float64]:
        return np.sum(self._shares(np.asarray(values, np.float64)), axis=0)

    def gathered(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.concatenate([np.ravel(share) for share in self._shares(values)])

    def _shares(self, own: Any) -> List[Any]:
        self.board[self.rank] = own
        self.barrier.wait(30)
        shares = list(self.board)
        self.barrier.wait(30)
        return shares


def on_ranks(count: int, run: Callable[[int, ThreadReduction], Result]) -> List[Result]:
    """Run ``run(rank, reduction)`` in ``count`` threads; return what each returned."""
    barrier, board = threading.Barrier(count), [None] * count
    with ThreadPoolExecutor(count) as pool:
        futures = [
            pool.submit(run, rank, ThreadReduction(rank, barrier, board)) for rank in range(count)
        ]
        return [future.result() for future in futures]
