"""int8 activations: the one formula used by training, simulation and deployment.

As a formula::

    q = clamp(rint(x * quant_scale + offset), -128, 127)      x ~ (q - offset) * scale_d

``quant_scale`` is float32 ``1 / scale_d``, which is what a deployed model stores; dividing by
``scale_d`` instead gives other integers now and then.  The multiplication and the addition are each
rounded to float32 (no fused multiply-add), halves go to the even integer, and the offset is added
*before* rounding, so at an exact half of ``x * quant_scale`` an odd offset rounds the other way
than an even one.

Source: CANN's AscendQuant (``round(x * scale + offset)``, round mode "Round" = ``rint``); the
derivation of scale and offset is hicann/amct quantize_lib (ifmr.cpp, util.cpp).
"""

from __future__ import annotations

import math
from typing import Any, Tuple, Type

import numpy as np
from numpy.typing import ArrayLike, NDArray

from amct_core.errors import QuantizationError
from amct_core.numerics.arrays import Float32Array, Int8Array, Real, channel_list
from amct_core.numerics.rounding import half_away_integer

QUANT_MIN = -128
QUANT_MAX = 127
QUANT_STEPS = 255
"""Steps between the smallest and the largest int8."""

FLT_EPSILON = float(np.finfo(np.float32).eps)
_LARGEST = float(np.finfo(np.float32).max)


def quantize(x: ArrayLike, quant_scale: Real, offset: int) -> Int8Array:
    """Return ``clamp(rint(x * quant_scale + offset), -128, 127)``, computed in float32.

    Args:
        x: any shape, taken as float32; infinities saturate.
        quant_scale: float32 ``1 / scale_d``, finite and above 0.
        offset: -128..127.

    Raises:
        QuantizationError: ``x`` holds NaN, or a factor is out of range.
    """
    scale = check_quant(quant_scale, offset)
    values = np.asarray(x, np.float32)
    with np.errstate(over="ignore"):  # infinity saturates like any other large value
        steps = np.multiply(values, scale, out=np.empty(values.shape, np.float32))
    steps += np.float32(offset)
    np.rint(steps, out=steps)
    np.clip(steps, QUANT_MIN, QUANT_MAX, out=steps)
    return no_nan(steps).astype(np.int8)


def check_quant(quant_scale: Real, offset: int) -> np.float32:
    """Return ``quant_scale`` as float32 after a check of both factors of a Quant.

    Raises:
        QuantizationError: the scale is not finite or not above 0, or the offset is out of range.
    """
    scale = np.float32(quant_scale)
    if not (np.isfinite(scale) and scale > 0):
        raise QuantizationError(f"quant_scale is {scale}; expected a finite number above 0.")
    _check_offset(offset)
    return scale


def no_nan(steps: Float32Array) -> Float32Array:
    """Return ``steps``, the activations on their way to int8.

    Raises:
        QuantizationError: one is NaN.
    """
    if steps.size and np.isnan(steps.min()):  # min() passes NaN on and makes no temporary
        raise QuantizationError(
            "an activation is NaN.",
            remedy="Look for a diverging loss or a division by zero before this layer.",
        )
    return steps


def centered(q: Int8Array, offset: int, dtype: Type[np.generic] = np.int16) -> NDArray[Any]:
    """Return ``q - offset`` exactly, in -255..255: what the integer layer multiplies with.

    Args:
        q: int8, any shape.
        offset: -128..127.
        dtype: int16 (default), int32, or float32 for integer-valued floats.
    """
    _check_offset(offset)
    result = q.astype(dtype)
    np.subtract(result, np.asarray(offset, dtype), out=result)
    return result


def dequantize(q: Int8Array, offset: int, scale: Real) -> Float32Array:
    """Return ``float32(q - offset) * scale``: an exact integer, then one float32 multiplication."""
    result: Float32Array = centered(q, offset, np.float32)
    result *= np.float32(scale)
    return result


def quant_scale(scale_d: Real) -> np.float32:
    """Return float32 ``1 / scale_d``, to nearest: the scale that a deployed model stores."""
    return np.float32(1) / np.float32(scale_d)


def scale_offset(clip_max: Real, clip_min: Real, fixed_min: bool = False) -> Tuple[np.float32, int]:
    """Return scale_d and offset_d of the int8 grid between two clip bounds.

    ``scale_d = process_scale((max - min) / 255)``,
    ``offset_d = -round(min / scale_d) - 128`` with halves away from zero; all in float32.

    Args:
        clip_max: upper bound, at least 0.
        clip_min: lower bound, at most 0; taken as 0 with ``fixed_min``.
        fixed_min: the lower bound is pinned at 0.

    Returns:
        ``(scale_d, offset_d)``: float32 above 0, and an int in -128..127.  Bounds that are both 0
        (a dead activation) give ``(1.0, -128)``.

    Raises:
        QuantizationError: a bound is not finite or on the wrong side of 0, or the scale is too
            large.
    """
    high, low = float(np.float32(clip_max)), float(np.float32(0 if fixed_min else clip_min))
    if not -math.inf < low <= 0 <= high < math.inf:
        raise QuantizationError(
            f"clip_max is {np.float32(high)!s} and clip_min is {np.float32(low)!s}; expected "
            "finite numbers with clip_min <= 0 <= clip_max.",
            remedy="If training diverged, lower its learning rate.",
        )
    # float64, rounded to float32 after each operation, gives what float32 gives: it has more than
    # twice the digits.  An infinite span is reported by process_scale.
    span = float(np.float32(high - low)) if high - low <= _LARGEST else math.inf
    scale = process_scale(span / QUANT_STEPS)
    return scale, -half_away_integer(np.float32(low / float(scale))) + QUANT_MIN


def is_below_smallest_scale(clip_max: Real, clip_min: Real) -> bool:
    """Return whether ``(clip_max - clip_min) / 255`` is below FLT_EPSILON.

    Such bounds have scale_d 1.0, by which everything between them becomes 0: see process_scales.
    """
    span = float(np.float32(float(clip_max) - float(clip_min)))
    return bool(np.float32(span / QUANT_STEPS) < FLT_EPSILON)


def bounds(scale: Real, offset: int) -> Tuple[np.float32, np.float32]:
    """Return the clip bounds that a scale and an offset stand for, the inverse of scale_offset.

    ``clip_min = -(offset + 128) * scale``, ``clip_max = 255 * scale + clip_min``, in float32.

    Returns:
        ``(clip_max, clip_min)``, with ``clip_min <= 0 <= clip_max``.  scale_offset gives the offset
        back exactly, and the scale up to the rounding of these two lines.

    Source: the ActivationQAT layer of AMCT's Caffe patch (activation_qat_layer).  Its CPU code
    computes clip_max from the clip_min of before; both are new here.
    """
    _check_offset(offset)
    step = np.float32(scale)
    clip_min = np.float32(-(offset - QUANT_MIN)) * step
    clip_max = np.float32(QUANT_STEPS) * step + clip_min
    return clip_max, clip_min


def process_scale(scale: Real) -> np.float32:
    """Return a usable scale; see :func:`process_scales`."""
    value = np.float32(scale)
    if FLT_EPSILON <= float(value) <= 1 / FLT_EPSILON:
        return value  # at once: training asks for one scale per layer and pass
    return np.float32(process_scales(np.asarray([scale], np.float32))[0])


def process_scales(scales: Float32Array) -> Float32Array:
    """Replace scales that are too small by 1, and reject those that are too large.

    Below FLT_EPSILON (2**-23, negative values included) a scale becomes 1.0: a dead channel.
    Infinity, NaN, and scales whose reciprocal is below FLT_EPSILON are errors.

    Args:
        scales: float32 ``[C]``; messages name the channel if there are several.

    Raises:
        QuantizationError: a scale is not finite, or above ``1 / FLT_EPSILON``.

    Source: hicann/amct quantize_lib, ProcessScale in util.cpp.
    """
    result = np.where(scales < FLT_EPSILON, np.float32(1), scales)
    with np.errstate(invalid="ignore"):
        unusable = ~np.isfinite(result) | (np.float32(1) / result < FLT_EPSILON)
    if unusable.any():
        where = f" of {channel_list(unusable)}" if scales.size > 1 else ""
        raise QuantizationError(
            f"the scale{where} is {result[unusable][0]}; expected a finite number of at most "
            f"{1 / FLT_EPSILON:.0f} (1 / FLT_EPSILON).",
            remedy="Look for huge values; leave the layer unquantized if they are meant.",
        )
    return result


def _check_offset(offset: int) -> None:
    if not QUANT_MIN <= offset <= QUANT_MAX:
        raise QuantizationError(
            f"the offset is {offset}; expected {QUANT_MIN}..{QUANT_MAX}.", field="offset"
        )
