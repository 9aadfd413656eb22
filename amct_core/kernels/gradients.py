"""Gradients moved from one array to another in one pass over memory."""

from __future__ import annotations

import numpy as np

from amct_core.kernels.threads import share_out
from amct_core.numerics.arrays import CHUNK, Float32Array


def move(source: Float32Array, target: Float32Array) -> None:
    """Add ``source`` to ``target`` and set it to 0.

    Args:
        source, target: float32 of one shape, C-contiguous.
    """
    taken, added = source.reshape(-1), target.reshape(-1)

    def work(begin: int, end: int) -> None:
        for start in range(begin * CHUNK, end * CHUNK, CHUNK):  # in pieces that the cache holds
            part = slice(start, start + CHUNK)
            np.add(added[part], taken[part], out=added[part])
            taken[part] = 0

    share_out(-(-taken.size // CHUNK), work, least=4)
