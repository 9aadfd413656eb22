"""Fused multiply-add, as a BLAS does it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def multiply_add(factor: float, x: Array, y: Array) -> Array:
    """Return ``factor * x + y`` rounded once, to float32: ``axpy`` with fused multiply-add.

    The AXPY of today's BLAS libraries (OpenBLAS and MKL on x86 since Haswell, OpenBLAS on ARM)
    does not round the product.  That matters for factors whose product is not exact anyway.

    Args:
        factor: taken as float32.
        x: float32.
        y: float32.
    """
    factor32 = np.float32(factor)
    if abs(factor32) == 1:
        return y + x if factor32 == 1 else y - x
    product = x.astype(np.float64) * np.float64(factor32)  # 48 bits: exact
    total = product + y
    # What the addition lost (Knuth's TwoSum).  Where it lost something, the even neighbour gives
    # way to the odd one, so that rounding a second time, to float32, cannot tie.
    part = total - product
    lost = (product - (total - part)) + (y - part)
    is_even = (total.view(np.int64) & 1) == 0
    odd = np.nextafter(total, np.copysign(np.inf, lost))
    return np.asarray(np.where((lost != 0) & is_even, odd, total).astype(np.float32))
