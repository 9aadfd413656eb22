"""Symmetric activations whose scale is a power of two.

``scale_d`` is the smallest power of two with ``127 * scale_d >= max(clip_max, -clip_min)``, and
``offset_d`` is 0.  Such a scale has an exact reciprocal, and multiplying by it is exact, too.
"""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_core.extensions import ActivationAlgorithm
from amct_core.numerics import affine

Float32Array = NDArray[np.float32]


def factors(clip_max: float, clip_min: float, fixed_min: bool = False) -> Tuple[np.float32, int]:
    """Return ``(scale_d, offset_d)`` for the learned bounds, ``clip_min <= 0 <= clip_max``."""
    bound = np.float32(clip_max if fixed_min else max(clip_max, -clip_min))
    mantissa, exponent = np.frexp(bound / np.float32(affine.QUANT_MAX))  # mantissa in 0.5 .. 1
    power = int(exponent) - 1 if mantissa == 0.5 else int(exponent)
    # A bound of 0, a dead activation, gets scale 1.
    scale = np.ldexp(np.float32(1), power) if mantissa > 0 else np.float32(0)
    return affine.process_scale(scale), 0


def forward(
    x: Float32Array, clip_max: float, clip_min: float, fixed_min: bool = False
) -> Tuple[Float32Array, np.float32, int]:
    """Return ``(y, scale_d, offset_d)``, ``y`` being ``x`` on the int8 grid."""
    scale, offset = factors(clip_max, clip_min, fixed_min)
    q = affine.quantize(x, affine.quant_scale(scale), offset)
    return affine.dequantize(q, offset, scale), scale, offset


def backward(
    x: Float32Array,
    top_diff: Float32Array,
    clip_max: float,
    clip_min: float,
    fixed_min: bool = False,
) -> Tuple[Float32Array, float, float]:
    """Return ``(bottom_diff, d_clip_max, d_clip_min)``.

    Straight-through inside the grid; what saturates moves the bound on its side.
    """
    scale, _ = factors(clip_max, clip_min, fixed_min)
    above, below = x > scale * affine.QUANT_MAX, x < scale * affine.QUANT_MIN
    bottom_diff: Any = np.where(above | below, np.float32(0), top_diff)
    d_clip_max = float(top_diff.sum(dtype=np.float64, where=above))
    d_clip_min = float(top_diff.sum(dtype=np.float64, where=below))
    return bottom_diff, d_clip_max, d_clip_min


ALGORITHM = ActivationAlgorithm(
    name="power_of_two", forward=forward, backward=backward, factors=factors
)
