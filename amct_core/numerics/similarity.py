"""How alike two arrays are, as AMCT's sensitivity measures it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def cosine(reference: NDArray[Any], other: NDArray[Any]) -> float:
    """Return ``0.5 + 0.5 cos`` of the angle between two arrays taken as vectors; in 0..1.

    1 where ``reference`` is zero throughout, whatever ``other`` is; 0 where ``other`` alone is.
    That is the score of AMCT, which computes it in float32 and so gives values slightly above 1;
    here sums are in float64.

    Args:
        reference, other: of one shape.
    """
    x, y = (np.asarray(each, np.float64).ravel() for each in (reference, other))
    # Divided by their largest magnitude, values do not overflow when they are squared.
    x_size, y_size = (float(np.max(np.abs(each), initial=0.0)) for each in (x, y))
    if x_size == 0:
        return 1.0
    if y_size == 0:
        return 0.0
    x, y = x / x_size, y / y_size
    angle_cosine = float(x @ y) / float(np.sqrt(x @ x) * np.sqrt(y @ y))
    return 0.5 + 0.5 * min(max(angle_cosine, -1.0), 1.0)
