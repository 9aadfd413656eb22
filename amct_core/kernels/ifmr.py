"""The squared errors of IFMR's candidates in one pass over memory, on all cores.

Each value's error is computed operation by operation in float32 as the definition does it.  The
sums are float64, of fixed pieces added in a fixed order, so they do not depend on the number of
threads; they differ from the definition's only in the order of additions.
"""

from __future__ import annotations

import importlib.util
from typing import Optional, Sequence

import numpy as np
from numpy.typing import NDArray

WORTH_IT = 1_000_000
"""Values below which compiling, or loading what has been compiled, takes longer than it saves."""


def squared_errors(
    batches: Sequence[NDArray[np.float32]],
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    scale: NDArray[np.float32],
) -> Optional[NDArray[np.float64]]:
    """Return the sum of squared errors of each candidate, or None where this is not worth it.

    Args:
        batches: float32, any shapes.
        low, high, scale: float32 ``[candidates]``: values are clipped to low..high and rounded to
            multiples of scale, halves away from zero.
    """
    if sum(batch.size for batch in batches) < WORTH_IT:
        return None
    if importlib.util.find_spec("numba") is None:
        return None
    from amct_core.kernels import ifmr_compiled  # imports numba

    errors = np.zeros(len(scale))
    for batch in batches:
        values = np.ascontiguousarray(batch).reshape(-1)
        pieces = np.zeros((-(-values.size // ifmr_compiled.PIECE), len(scale)))
        ifmr_compiled.piece_errors(values, low, high, scale, pieces)
        errors += pieces.sum(axis=0)
    return errors
