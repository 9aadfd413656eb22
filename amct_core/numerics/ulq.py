"""ULQ: fake quantization of activations between two clip bounds that training learns.

The grid.  ``scale`` and ``offset_d`` follow from the bounds
(:func:`amct_core.numerics.affine.scale_offset`); rounding the offset shifts the grid by up to half
a step, so the values that it can represent, the *snapped* bounds, are
``low = scale * (-128 - offset_d)`` and ``high = scale * (127 - offset_d)``.

Forward.  ``y = (q - offset_d) * scale`` with ``q = affine.quantize(x, 1 / scale, offset_d)``: the
arithmetic of the deployed model.

Difference from the reference library, which computes ``rint(clamp(x, low, high) / scale) * scale``:
``y`` may differ by one step where ``x / scale`` lies at a half between two integers, or so close to
one that one of the two float32 evaluations lands on it or beyond (closer than 2**-14).  At an exact
half the reference makes ``x / scale`` even, the device ``x / scale + offset_d``; with an odd offset
these are different neighbours.  Elsewhere both are equal, to the last bit.

Backward, with ``g`` the gradient of ``y`` and ``D(v) = (round(t) - t) / 255``,
``t = v * 255 / (clip_max - clip_min)``, halves away from zero:

=================  ==========  =======================  =======================
x                  d x         d clip_max               d clip_min
=================  ==========  =======================  =======================
above ``high``     0           g * (D(clip_min) + 1)    -g * D(clip_min)
below ``low``      0           g * D(clip_min)          g * (1 - D(clip_min))
in between         g           g * D(x)                 -g * D(x)
=================  ==========  =======================  =======================

x is compared with the snapped bounds, D takes the bounds themselves.  Elements are computed in
float32; their sums over the tensor are kept in float64, because a float32 sum over millions of
values drifts by percents.  Nothing is averaged over the batch.

With ``fixed_min`` every clip_min above is 0.  d_clip_min is still what the table gives, as in the
reference; the caller that pins the bound discards it.

Source: hicann/amct quantize_lib/ulq.cpp; ActivationQAT of AMCT's Caffe patch.
"""

from __future__ import annotations

from typing import Tuple

import attrs
import numpy as np

from amct_core.errors import QuantizationError
from amct_core.numerics import affine
from amct_core.numerics.arrays import Float32Array, Real, flat_chunks
from amct_core.numerics.rounding import half_away


def forward(
    x: Float32Array, clip_max: Real, clip_min: Real, fixed_min: bool = False
) -> Tuple[Float32Array, np.float32, int]:
    """Quantize and dequantize ``x``.

    Args:
        x: any shape, taken as float32.
        clip_max: learned upper bound, at least 0.
        clip_min: learned lower bound, at most 0.
        fixed_min: take the lower bound as 0, whatever ``clip_min`` is.

    Returns:
        ``(y, scale, offset_d)``: float32 of the shape of ``x``; float32; int in -128..127.

    Raises:
        QuantizationError: ``x`` holds NaN, or the bounds are invalid (see check_clips).
    """
    scale, offset = affine.scale_offset(clip_max, clip_min, fixed_min)
    q = affine.quantize(x, affine.quant_scale(scale), offset)
    return affine.dequantize(q, offset, scale), scale, offset


def backward(
    x: Float32Array,
    top_diff: Float32Array,
    clip_max: Real,
    clip_min: Real,
    fixed_min: bool = False,
) -> Tuple[Float32Array, float, float]:
    """Return the gradients of ``x`` and of the two bounds; see the table above.

    Args:
        x: input of :func:`forward`.
        top_diff: gradient of its output, of the same shape.
        clip_max, clip_min, fixed_min: as given to :func:`forward`.

    Returns:
        ``(bottom_diff, d_clip_max, d_clip_min)``: float32 of the shape of ``x``, and two sums over
        the whole tensor.

    Raises:
        QuantizationError: the bounds are invalid or equal, or the shapes differ.
    """
    x, top_diff = np.asarray(x, np.float32), np.asarray(top_diff, np.float32)
    check_same_shape(x, top_diff)
    grid = gradient_grid(clip_max, clip_min, fixed_min)
    bottom_diff = np.empty(x.shape, np.float32)
    above = below = inside = 0.0
    for values, g, result in flat_chunks(x, top_diff, bottom_diff):
        is_above, is_below = values > grid.high, values < grid.low
        above += float(g.sum(dtype=np.float64, where=is_above))
        below += float(g.sum(dtype=np.float64, where=is_below))
        outside = is_above | is_below
        result[...] = np.where(outside, np.float32(0), g)
        # 0 in their place, so that those outside, whose result is 0, do not become 0 * NaN: they
        # may be infinite, or the span so small that their steps are.
        error = _rounding_error(np.where(outside, np.float32(0), values), grid.span)
        inside += float(np.multiply(result, error, dtype=np.float64).sum())
    return (bottom_diff, *grid.bound_gradients(above, below, inside))


@attrs.frozen
class GradientGrid:
    """What the gradients between two bounds are computed with, float32.

    Attributes:
        low, high: the snapped bounds, which x is compared with.
        span: clip_max - clip_min, above 0.
        clip_min: the lower bound; 0 if it is fixed there.
    """

    low: np.float32
    high: np.float32
    span: np.float32
    clip_min: np.float32

    def bound_gradients(self, above: float, below: float, inside: float) -> Tuple[float, float]:
        """Return the gradients of clip_max and clip_min.

        Args:
            above, below: sums of g over the elements above ``high`` and below ``low``.
            inside: sum of g * D(x) over the others.
        """
        # D(0) is 0, and most bounds are: those behind a ReLU.
        at_low = (
            float(_rounding_error(np.asarray(self.clip_min), self.span)) if self.clip_min else 0.0
        )
        d_clip_max = inside + above * (at_low + 1) + below * at_low
        d_clip_min = -inside - above * at_low + below * (1 - at_low)
        return d_clip_max, d_clip_min


def gradient_grid(clip_max: Real, clip_min: Real, fixed_min: bool = False) -> GradientGrid:
    """Return the grid of :func:`backward` for these bounds.

    Raises:
        QuantizationError: the bounds are invalid or equal.
    """
    scale, offset = affine.scale_offset(clip_max, clip_min, fixed_min)
    lower_bound = np.float32(0 if fixed_min else clip_min)
    span = np.float32(clip_max) - lower_bound
    if span <= 0:
        raise QuantizationError(
            f"clip_max is {clip_max} and clip_min is {lower_bound}; expected clip_max > clip_min.",
            remedy="Initialise the bounds from data, or set clip_max and clip_min in the config.",
        )
    low = scale * np.float32(affine.QUANT_MIN - offset)
    high = scale * np.float32(affine.QUANT_MAX - offset)
    return GradientGrid(low, high, span, lower_bound)


def check_same_shape(x: Float32Array, top_diff: Float32Array) -> None:
    """Raise a QuantizationError if an input and the gradient of its output differ in shape."""
    if x.shape != top_diff.shape:
        raise QuantizationError(
            f"the input has shape {x.shape} and the gradient {top_diff.shape}; expected the same."
        )


def _rounding_error(values: Float32Array, span: np.float32) -> Float32Array:
    """Return ``D(values) = (round(t) - t) / 255`` with ``t = values * 255 / span``, in float32."""
    steps = np.asarray(values * np.float32(affine.QUANT_STEPS) / span)
    error: Float32Array = half_away(steps)
    error -= steps
    error *= np.float32(1) / np.float32(affine.QUANT_STEPS)
    return error


@attrs.frozen
class ClipCheck:
    """Clip bounds after :func:`check_clips`, float32.

    Attributes:
        clip_max, clip_min: valid bounds, ``clip_min <= 0 <= clip_max``, to quantize with.
        previous_max, previous_min: to hand to the next check.
        restored: both bounds were taken back, because they had met or crossed.
    """

    clip_max: np.float32
    clip_min: np.float32
    previous_max: np.float32
    previous_min: np.float32
    restored: bool


def check_clips(
    clip_max: Real, clip_min: Real, previous_max: Real, previous_min: Real
) -> ClipCheck:
    """Repair bounds that a solver's step has made invalid.

    ``max <= min``: both go back to the previous ones.  Otherwise a negative ``max`` or a positive
    ``min`` alone goes back, and the other becomes its new previous.

    Args:
        clip_max, clip_min: as the solver left them.
        previous_max, previous_min: the last valid ones, ``previous_min <= 0 <= previous_max``.

    Raises:
        QuantizationError: a bound is NaN or infinite.

    Source: ClipCheck of hicann/amct quantize_lib/ulq.cpp.
    """
    high, low = np.float32(clip_max), np.float32(clip_min)
    last_high, last_low = np.float32(previous_max), np.float32(previous_min)
    if not (np.isfinite(high) and np.isfinite(low)):
        raise QuantizationError(
            f"clip_max is {high} and clip_min is {low}; expected finite numbers.",
            remedy="Training has diverged: lower its learning rate or clip_lr_mult.",
        )
    if high <= low:
        return ClipCheck(last_high, last_low, last_high, last_low, True)
    if high < 0:
        return ClipCheck(last_high, low, last_high, low, False)
    if low > 0:
        return ClipCheck(high, last_low, high, last_low, False)
    return ClipCheck(high, low, high, low, False)
