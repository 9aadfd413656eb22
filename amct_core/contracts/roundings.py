"""The contract of :class:`~amct_core.extensions.WeightRounding`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from amct_core.contracts.usage import Usage, shown


def check_rounding(usage: Usage, found: Any, nearest: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return ``found``, if it is int8 and at most one step from the nearest integers.

    Raises:
        PluginError: it is not.
    """
    expected = f"expected int8 {nearest.shape}, each at most 1 from the nearest integer."
    if not isinstance(found, np.ndarray) or found.dtype != np.int8 or found.shape != nearest.shape:
        raise usage.error(f"result gave {shown(found)}; {expected}")
    steps = np.abs(found.astype(np.int16) - nearest)
    if steps.max(initial=0) > 1:
        place = tuple(int(index) for index in np.argwhere(steps > 1)[0])
        raise usage.error(
            f"result gave {found[place]} at {place}, where the nearest integer is "
            f"{nearest[place]}; {expected}"
        )
    return found
