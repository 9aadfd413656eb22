"""Functions of the C library over whole arrays, on all cores.

Gives what :mod:`amct_core.numerics.libm` gives, bit for bit; where numba is missing, that runs.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from amct_core.kernels.loading import load
from amct_core.kernels.threads import share_out
from amct_core.numerics import libm
from amct_core.numerics.arrays import Array, Float32Array, Float64Array, Real

_LEAST = 1 << 12
"""Values that are worth another thread."""


def powf(x: Float32Array, exponent: Real) -> Float32Array:
    """Return what :func:`amct_core.numerics.libm.powf` does."""
    if not _is_compiled("powf"):
        return libm.powf(x, exponent)
    return _each("powf", "single_with", x, np.float32(exponent))


def tanhf(x: Float32Array) -> Float32Array:
    """Return what :func:`amct_core.numerics.libm.tanhf` does."""
    return _each("tanhf", "single", x) if _is_compiled("tanhf") else libm.tanhf(x)


def tanh(x: Float64Array) -> Float64Array:
    """Return what :func:`amct_core.numerics.libm.tanh` does."""
    return _each("tanh", "double", x) if _is_compiled("tanh") else libm.tanh(x)


def _is_compiled(name: str) -> bool:
    return libm.function(name) is not None and load("libm") is not None


def _each(name: str, kernel: str, x: Array, *others: Any) -> Array:
    loop, function = getattr(load("libm"), kernel), libm.function(name)
    assert function is not None
    address = ctypes.cast(function, ctypes.c_void_p).value
    values, out = np.ascontiguousarray(x).reshape(-1), np.empty(x.size, x.dtype)

    def work(begin: int, end: int) -> None:
        loop(address, values[begin:end], *others, out[begin:end])

    share_out(x.size, work, _LEAST)
    return out.reshape(x.shape)
