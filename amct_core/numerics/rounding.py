"""The two ways to round to an integer that Ascend's tools use.

=====================  ===================================================================
half away from zero    ARQ weights, offset_d, the round inside ULQ's gradient, IFMR (C ``round``)
half to even           AscendQuant, bias, float32(int32) (C ``rint`` in the default mode)
=====================  ===================================================================

The second is ``np.rint``; the first is here.

Source: hicann/amct quantize_lib (arq.cpp, ifmr.cpp, ulq.cpp); op specification of AscendQuant.
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from amct_core.numerics.arrays import Real

F = TypeVar("F", np.float32, np.float64)

_BELOW_HALF = {
    kind: np.nextafter(kind(0.5), kind(0))  # the largest number below one half
    for kind in (np.float32, np.float64)
}


def half_away(x: NDArray[F]) -> NDArray[F]:
    """Round to the nearest integer, halves away from zero, as C ``round`` does.

    ``trunc(x + copysign(h, x))`` with ``h`` the largest number *below* one half.  With one half
    itself, 0.49999997 (float32) would give 1, and odd integers from 2**23 on would move by one;
    with ``h``, exact halves still reach the next integer because the sum rounds up to it.

    Args:
        x: float32 or float64, any shape; infinities and NaN pass through.

    Returns:
        Integer values in the dtype of ``x``.
    """
    x = _floating(x)
    shifted: NDArray[F] = np.copysign(_BELOW_HALF[x.dtype.type], x, out=np.empty(x.shape, x.dtype))
    shifted += x
    return np.trunc(shifted, out=shifted)


def half_away_integer(value: Real) -> int:
    """Round one finite float32 number as :func:`half_away` does, without arrays.

    In float64 the sum with one half cannot be rounded up to an integer that it does not reach: no
    float32 lies closer than 2**-25 below one half, and from 2**24 on, where all are even integers,
    the sum goes back to the integer itself.
    """
    return int(math.copysign(math.floor(abs(float(value)) + 0.5), value))


def _floating(x: ArrayLike) -> NDArray[F]:
    array: NDArray[F] = np.asarray(x)
    if array.dtype not in (np.float32, np.float64):
        raise TypeError(f"dtype {array.dtype}; rounding is defined for float32 and float64")
    return array
