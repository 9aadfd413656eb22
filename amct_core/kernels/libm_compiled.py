"""Loops over functions of the C library, compiled; importing this imports numba and compiles.

The functions are called through their addresses: a compiler that knew their names might put others
in their place, such as those of a vector library.
"""

from __future__ import annotations

from typing import Any, Callable

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from amct_core.kernels.compilation import INTEGER, READ, REAL, SUM, SUMS, WRITE, compiled

READ_DOUBLE = types.Array(types.float64, 1, "C", readonly=True)


def _call(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    """Call the function at ``values[0]`` with the other values; it returns what it is given."""
    address, *arguments = values
    kinds = [argument.type for argument in arguments]
    pointer = ir.FunctionType(kinds[0], kinds).as_pointer()
    return builder.call(builder.inttoptr(address, pointer), arguments)


def _of_single(typing: Any, address: Any, x: Any) -> Any:
    return REAL(types.int64, REAL), _call


def _of_two_singles(typing: Any, address: Any, x: Any, second: Any) -> Any:
    return REAL(types.int64, REAL, REAL), _call


def _of_double(typing: Any, address: Any, x: Any) -> Any:
    return SUM(types.int64, SUM), _call


_call_single: Callable[..., Any] = intrinsic(_of_single)
_call_two_singles: Callable[..., Any] = intrinsic(_of_two_singles)
_call_double: Callable[..., Any] = intrinsic(_of_double)


@compiled(INTEGER, INTEGER, READ, WRITE)
def single(address: Any, x: Any, out: Any) -> int:
    """Write ``f(x)`` of each float32 into ``out``; ``f`` is at ``address``."""
    for i in range(x.shape[0]):
        out[i] = _call_single(address, x[i])
    return 0


@compiled(INTEGER, INTEGER, READ, REAL, WRITE)
def single_with(address: Any, x: Any, second: Any, out: Any) -> int:
    """Write ``f(x, second)`` of each float32 into ``out``; ``f`` is at ``address``."""
    for i in range(x.shape[0]):
        out[i] = _call_two_singles(address, x[i], second)
    return 0


@compiled(INTEGER, INTEGER, READ_DOUBLE, SUMS)
def double(address: Any, x: Any, out: Any) -> int:
    """Write ``f(x)`` of each float64 into ``out``; ``f`` is at ``address``."""
    for i in range(x.shape[0]):
        out[i] = _call_double(address, x[i])
    return 0
