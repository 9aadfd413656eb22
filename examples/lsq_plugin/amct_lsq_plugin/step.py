"""The formulas of Learned Step Size Quantization, for activations and weights alike.

With ``t = v / s``, the step ``s`` and integers in ``-Qn .. Qp`` (equations 1 to 5 of the paper)::

    v_hat         = round(clip(t, -Qn, Qp)) * s
    d v_hat / d s = -Qn             where t <= -Qn
                    Qp              where t >= Qp
                    round(t) - t    in between
    d v_hat / d v = 1 in between, else 0

The gradient of ``s`` is multiplied by ``1 / sqrt(n * Qp)``, where ``n`` is the number of weights,
or of features of one image, that share the step.  The first step is ``2 * mean(|v|) / sqrt(Qp)``.

Source: Esser, McKinstry, Bablani, Appuswamy, Modha: Learned Step Size Quantization,
arXiv:1902.08153, sections 2.1 and 2.2.
"""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]


def first_step(mean_magnitude: Any, most: int, factor: float) -> Any:
    """Return the first step, float32; 1 where all values are 0.

    Args:
        mean_magnitude: ``mean(|v|)``, one number or an array.
        most: Qp.
        factor: 2 in the paper.
    """
    step = np.asarray(factor * np.asarray(mean_magnitude, np.float64) / np.sqrt(most), np.float32)
    return np.where(step > 0, step, np.float32(1))


def step_of_least_error(values: Float32Array, least: int, most: int) -> Any:
    """Return, of 80 steps, the one that quantization changes ``values`` least with; 1 for zeros.

    The mean of squares decides; the steps are 1/80 to 80/80 of that which clips nothing.

    Args:
        values: float32, any shape; of each row of ``[C, n]``, if there are two axes.
        least, most: Qn and Qp.

    Returns:
        float32, ``[C]``, or ``[1]``.
    """
    rows = values if values.ndim == 2 else values.reshape(1, -1)
    high, low = rows.max(axis=1), rows.min(axis=1)
    whole = np.maximum(high / most, -low / least if least else 0).astype(np.float32)
    dead = whole <= 0
    whole = np.where(dead, np.float32(1), whole)
    found, errors = whole, np.full(len(rows), np.inf)
    for part in range(1, 81):
        step = (whole * np.float32(part / 80)).astype(np.float32)
        t = rows / step[:, np.newaxis]
        error = (np.rint(np.clip(t, -least, most)) - t) * step[:, np.newaxis]
        squares = np.square(error).mean(axis=1, dtype=np.float64)
        found = np.where(squares < errors, step, found)
        errors = np.minimum(squares, errors)
    return np.where(dead, np.float32(1), found)


def gradient_scale(count: int, most: int, factor: float) -> float:
    """Return ``factor / sqrt(count * most)``; ``factor`` is 1 in the paper."""
    return float(factor / np.sqrt(float(count) * most))


def gradients(
    t: Float32Array, integers: NDArray[Any], g: Float32Array, least: int, most: int
) -> Tuple[Float32Array, Float32Array]:
    """Return the gradients of the values, and of the step before they are summed and scaled.

    Args:
        t: ``v / s``.
        integers: ``round(clip(t, -Qn, Qp))``.
        g: gradient of ``v_hat``.
        least, most: Qn and Qp, both at least 0.
    """
    inside = (t > -least) & (t < most)
    # What is clipped has the integers -Qn and Qp.
    slope = integers.astype(np.float32)
    np.subtract(slope, t, out=slope, where=inside)
    slope *= g
    return np.where(inside, g, np.float32(0)), slope
