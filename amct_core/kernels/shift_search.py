"""The search for N in one pass over a batch, on all cores; nothing but 16 sums per channel is kept.

Gives what :mod:`amct_core.numerics.shift_search` gives, except for the order of additions in
float64, which does not depend on the number of threads; where numba is missing, that runs.
"""

from __future__ import annotations

import numpy as np

from amct_core.kernels.loading import load
from amct_core.kernels.threads import share_out
from amct_core.numerics import shift_search
from amct_core.numerics.arrays import Float32Array

_LEAST = 1 << 13
"""Outputs that are worth another thread."""


def prepare() -> None:
    """Compile, or load what has been compiled."""
    load("shift_search")


class _Compiled(shift_search.ShiftSearchOverBatches):
    def _add(self, outputs: Float32Array) -> None:
        kernels = load("shift_search")
        if kernels is None:
            super()._add(outputs)
            return
        channels = self._channels
        shape = (1, 1, -1) if channels == 1 else (len(outputs), channels, -1)
        values = np.ascontiguousarray(outputs).reshape(shape)
        sums = np.zeros((channels, shift_search.MAX_SHIFT))
        floors = self.division is np.floor

        def work(begin: int, end: int) -> None:
            kernels.add_errors(values, self._deq_scale, floors, sums, begin, end)

        share_out(channels, work, least=-(-_LEAST * channels // values.size))
        self._errors.sums += sums if self._errors.groups == channels else sums.sum(axis=0)


class TruncatingShiftSearch(_Compiled, shift_search.TruncatingShiftSearch):
    """:class:`amct_core.numerics.shift_search.TruncatingShiftSearch`, compiled."""


class FlooringShiftSearch(_Compiled, shift_search.FlooringShiftSearch):
    """:class:`amct_core.numerics.shift_search.FlooringShiftSearch`, compiled."""
