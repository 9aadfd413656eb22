"""How kernels are compiled; importing this imports numba.

Each is compiled for the types that it is declared with, when its module is imported: so never while
it is being called.  The machine code is kept beside the source, or in the user's cache where that
folder cannot be written.  Nothing is reordered or fused (no ``fastmath``), except sums of kernels
that say ``any_order``: float32 operations round one by one, as in NumPy.  Kernels run without
Python's lock, on one thread each; who calls them shares out the work
(:mod:`amct_core.kernels.threads`).
"""

from __future__ import annotations

from typing import Any, Callable, TypeVar, cast

import numba
from numba import types

Function = TypeVar("Function", bound=Callable[..., Any])

READ = types.Array(types.float32, 1, "C", readonly=True)
"""A flat float32 array that is only read."""
WRITE = types.Array(types.float32, 1, "C")
READ_2D = READ.copy(ndim=2)
READ_3D, WRITE_3D = READ.copy(ndim=3), WRITE.copy(ndim=3)
SUMS = types.Array(types.float64, 1, "C")
SUMS_2D = SUMS.copy(ndim=2)
REAL, SUM, INTEGER = types.float32, types.float64, types.int64
COUNTS = types.Array(types.int64, 1, "C")
ROWS_OF_COUNTS = COUNTS.copy(ndim=2)
INDICES = types.Array(types.int32, 1, "C")
INT32 = types.int32
"""Integers beside float32 operations, as wide as these: the widest type of a loop decides how many
elements its vectors hold.  numba makes results of integers 64 bits wide, so they are cast back."""


def compiled(
    result: Any, *arguments: Any, any_order: bool = False
) -> Callable[[Function], Function]:
    """Compile the decorated function for these types.

    Args:
        result, arguments: numba's types.
        any_order: additions that follow one another may be reordered, and fused with the product
            that is added; so a sum can be kept in vector registers.
    """
    fastmath = {"reassoc", "contract"} if any_order else False

    def compile_now(function: Function) -> Function:
        signature = result(*arguments)
        try:
            done = numba.njit(signature, cache=True, nogil=True, fastmath=fastmath)(function)
        except RuntimeError:  # no folder can be written: compile each time
            done = numba.njit(signature, nogil=True, fastmath=fastmath)(function)
        return cast(Function, done)

    return compile_now
