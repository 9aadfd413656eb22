"""How processes that each hold a share of the data come to one result.

An algorithm that gets a :class:`Reduction` computes on its own share and asks it to combine what
must be known about all of the data.  Every process asks in the same order, and every process gets
the same answers.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from amct_core.numerics.arrays import Float32Array, Float64Array


class Reduction(Protocol):
    """What an algorithm may ask about the other processes' shares."""

    def total(self, values: ArrayLike) -> Float64Array:
        """Return the float64 sum over the processes of arrays of one shape."""

    def gathered(self, values: Float32Array) -> Float32Array:
        """Return the values of all processes as one flat array; they may hold different numbers."""


class OneProcess:
    """The reduction of a process that holds all of the data."""

    def total(self, values: ArrayLike) -> Float64Array:
        """Return the values."""
        return np.asarray(values, np.float64)

    def gathered(self, values: Float32Array) -> Float32Array:
        """Return the values, flat."""
        return np.asarray(values, np.float32).reshape(-1)
