"""How functions are compiled here."""

from __future__ import annotations

from typing import Any, Callable, TypeVar, cast

import numba
import numpy as np
from numba.extending import intrinsic

Function = TypeVar("Function", bound=Callable[..., Any])


def parallel(function: Function) -> Function:
    """Compile at the first call, for all cores; the machine code is kept where possible."""
    return cast(Function, numba.njit(parallel=True, cache=True, nogil=True)(function))


def inlined(function: Function) -> Function:
    """Compile as a part of the functions that call it."""
    return cast(Function, numba.njit(forceinline=True)(function))


def in_llvm(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of types, which returns a signature and what writes LLVM code for it."""
    made: Callable[..., Any] = intrinsic(function)
    return made


@inlined
def address(array: Any) -> Any:
    """Return where an array begins (signed: numba adds unsigned and signed numbers as floats)."""
    begin: Any = np.int64(array.ctypes.data)
    return begin
