"""Functions of the C library's mathematics, which round to the last bit as the library pleases.

A framework in C++ calls ``powf``, ``tanhf`` and ``tanh``; NumPy and compilers have loops of their
own, whose results differ in the last bit now and then.  So these call the very functions that the
process has loaded.  Where there is no such library, the float64 function of NumPy is rounded once:
within one unit of the last place.

This is the definition, one call per value; :mod:`amct_core.kernels.libm` is the fast form.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import Any, Callable, Optional, Tuple

import numpy as np

from amct_core.numerics.arrays import Array, Float32Array, Float64Array, Real

_SINGLE, _DOUBLE = ctypes.c_float, ctypes.c_double
_ARGUMENTS = {"powf": (_SINGLE, _SINGLE), "tanhf": (_SINGLE,), "tanh": (_DOUBLE,)}
_RESULTS = {"powf": _SINGLE, "tanhf": _SINGLE, "tanh": _DOUBLE}


@functools.cache
def function(name: str) -> Optional[Any]:
    """Return ``powf``, ``tanhf`` or ``tanh`` of the C library; None where it cannot be found."""
    for library in _libraries():
        try:
            found = getattr(ctypes.CDLL(library), name)
        except (OSError, AttributeError):  # there are other places to look
            continue
        found.argtypes, found.restype = _ARGUMENTS[name], _RESULTS[name]
        return found
    return None


def powf(x: Float32Array, exponent: Real) -> Float32Array:
    """Return ``x`` to the power of ``exponent``, in float32.

    Args:
        x: float32, any shape.
        exponent: taken as float32.
    """
    power = np.float32(exponent)
    found = function("powf")
    if found is None:
        with np.errstate(all="ignore"):
            return np.asarray(np.power(x.astype(np.float64), np.float64(power)), np.float32)
    return _each(lambda value: found(value, power), x)


def tanhf(x: Float32Array) -> Float32Array:
    """Return the hyperbolic tangent of float32 ``x``, in float32."""
    found = function("tanhf")
    if found is None:
        return np.asarray(np.tanh(x.astype(np.float64)), np.float32)
    return _each(found, x)


def tanh(x: Float64Array) -> Float64Array:
    """Return the hyperbolic tangent of float64 ``x``, in float64."""
    found = function("tanh")
    if found is None:
        return np.asarray(np.tanh(x))
    return _each(found, x)


def _each(scalar: Callable[[float], float], x: Array) -> Array:
    values = (scalar(value) for value in x.reshape(-1).tolist())
    return np.fromiter(values, x.dtype, x.size).reshape(x.shape)


def _libraries() -> Tuple[Optional[str], ...]:
    """Return where to look: first in what the process has loaded, as a framework does."""
    return ("ucrtbase",) if sys.platform == "win32" else (None, "libm.so.6")
