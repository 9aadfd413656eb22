"""The squared errors of IFMR's candidates in one pass over memory, on all cores.

Each value's error is computed operation by operation in float32 as the definition does it.  The
sums are float64, of fixed pieces added in a fixed order, so they do not depend on the number of
threads; they differ from the definition's only in the order of additions.
"""

from __future__ import annotations

from typing import Optional, Sequence

import numpy as np
from numpy.typing import NDArray

from amct_core.kernels.loading import load
from amct_core.kernels.threads import share_out


def prepare() -> None:
    """Compile, or load what has been compiled."""
    load("ifmr")


def squared_errors(
    batches: Sequence[NDArray[np.float32]],
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    scale: NDArray[np.float32],
) -> Optional[NDArray[np.float64]]:
    """Return the sum of squared errors of each candidate, or None where numba is missing.

    Args:
        batches: float32, any shapes.
        low, high, scale: float32 ``[candidates]``: values are clipped to low..high, which holds 0,
            and rounded to multiples of scale, halves away from zero.
    """
    kernels = load("ifmr")
    if kernels is None:
        return None
    errors = np.zeros(len(scale))
    for batch in batches:
        values = np.ascontiguousarray(batch).reshape(-1)
        sums = np.zeros((-(-values.size // kernels.PIECE), len(scale)))

        def work(
            begin: int,
            end: int,
            values: NDArray[np.float32] = values,
            sums: NDArray[np.float64] = sums,
        ) -> None:
            part = values[begin * kernels.PIECE : end * kernels.PIECE]
            kernels.piece_errors(part, low, high, scale, sums[begin:end])

        share_out(len(sums), work)
        errors += sums.sum(axis=0)
    return errors
