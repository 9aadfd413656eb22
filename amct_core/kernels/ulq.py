"""ULQ in place: the results go into arrays of the caller's, in one pass over memory each.

Gives what :mod:`amct_core.numerics.ulq` gives: forward bit for bit; the gradients of the bounds but
for the order of additions in float64.  Where numba is missing, the definition runs.
"""

from __future__ import annotations

from typing import Optional, Tuple

import numpy as np

from amct_core.errors import QuantizationError
from amct_core.kernels.loading import load
from amct_core.kernels.threads import share_out
from amct_core.numerics import affine, ulq
from amct_core.numerics.arrays import Float32Array, Real


def prepare() -> None:
    """Compile, or load what has been compiled."""
    load("ulq")


def forward_into(
    x: Float32Array, y: Float32Array, clip_max: Real, clip_min: Real, fixed_min: bool = False
) -> Tuple[np.float32, int]:
    """Write what :func:`amct_core.numerics.ulq.forward` returns into ``y``.

    Args:
        x: float32, any shape.
        y: float32 of the same shape, C-contiguous; it may be ``x`` itself.
        clip_max, clip_min, fixed_min: see there.

    Returns:
        ``(scale, offset_d)``.

    Raises:
        QuantizationError: as there; ``y`` may have been written to.
    """
    scale, offset = affine.scale_offset(clip_max, clip_min, fixed_min)
    kernels = load("ulq")
    if kernels is None:
        y[...] = ulq.forward(x, clip_max, clip_min, fixed_min)[0]
        return scale, offset
    quant_scale = affine.quant_scale(scale)
    values, out, nans = _flat(x), _out(y), []

    def work(begin: int, end: int) -> None:
        part = slice(begin * kernels.PIECE, end * kernels.PIECE)
        nans.append(
            kernels.forward(values[part], out[part], quant_scale, np.float32(offset), scale)
        )

    share_out(-(-values.size // kernels.PIECE), work, least=16)
    if any(nans):
        affine.quantize(x, quant_scale, offset)  # tells that there is a NaN
    return scale, offset


def backward_into(
    x: Float32Array,
    top_diff: Float32Array,
    bottom_diff: Optional[Float32Array],
    clip_max: Real,
    clip_min: Real,
    fixed_min: bool = False,
) -> Tuple[float, float]:
    """Write the gradient of ``x`` into ``bottom_diff``; return those of the bounds.

    Args:
        x, top_diff: float32 of one shape.
        bottom_diff: float32 of the same shape, C-contiguous; None where nobody needs it.
        clip_max, clip_min, fixed_min: see :func:`amct_core.numerics.ulq.backward`.

    Returns:
        ``(d_clip_max, d_clip_min)``; they do not depend on the number of threads.

    Raises:
        QuantizationError: as there.
    """
    kernels = load("ulq")
    if kernels is None:
        result, d_clip_max, d_clip_min = ulq.backward(x, top_diff, clip_max, clip_min, fixed_min)
        if bottom_diff is not None:
            bottom_diff[...] = result
        return d_clip_max, d_clip_min
    grid = ulq.gradient_grid(clip_max, clip_min, fixed_min)
    ulq.check_same_shape(x, top_diff)
    sums = np.zeros((-(-x.size // kernels.PIECE), 3))
    out = np.empty(0, np.float32) if bottom_diff is None else _out(bottom_diff)
    values, gradients = _flat(x), _flat(top_diff)

    def work(begin: int, end: int) -> None:
        part = slice(begin * kernels.PIECE, end * kernels.PIECE)
        bounds = grid.low, grid.high, grid.span
        kernels.backward(values[part], gradients[part], out[part], *bounds, sums[begin:end])

    share_out(len(sums), work, least=4)
    above, below, inside = (float(total) for total in sums.sum(axis=0))
    return grid.bound_gradients(above, below, inside)


def _flat(values: Float32Array) -> Float32Array:
    return np.ascontiguousarray(values, np.float32).reshape(-1)


def _out(array: Float32Array) -> Float32Array:
    if array.dtype != np.float32 or not array.flags.c_contiguous:
        raise QuantizationError("results can only be written into C-contiguous float32 arrays.")
    return array.reshape(-1)
