"""Folding BatchNorm and Scale into the layer before or behind them.

Caffe computes, per channel, ``BatchNorm: z = (y - mean) / sqrt(variance + eps)`` and
``Scale: out = gamma * z + beta``, so with ``multiplier = gamma / sqrt(variance + eps)``::

    weights' = weights * multiplier
    bias'    = (bias - mean) * multiplier + beta

Where they stand before a convolution, ``x * multiplier + shift`` goes into its weights by input
channel c::

    weights'[o, c] = weights[o, c] * multiplier[c]
    bias'[o]       = bias[o] + sum(weights[o, c] * shift[c])     over c and the kernel

which is exact only without padding: padding is 0 behind the two layers, not before them.

The mean and variance blobs hold sums over a moving average; the third blob is their divisor, and
both count as 0 where it is 0.  Either layer may be missing.

Weights that were trained in integers keep these.  A channel whose gamma is negative is trained as
``w = -q * scale_w``, the others as ``w = q * scale_w`` (:func:`orientation`), so folding leaves
``q`` and makes the scale ``scale_w' = |multiplier| * scale_w``: no weight moves off its grid, and
no -128 has to become 128.  A single scale_w thereby becomes one per channel.

Everything is computed in float64 and rounded once, to float32.

Source: Caffe's batch_norm_layer and scale_layer; scale_w' is AMCT's rule (hicann/amct, retrain).
"""

from __future__ import annotations

from typing import Optional, Tuple

import attrs
import numpy as np
from numpy.typing import ArrayLike

from amct_core.errors import ModelError, QuantizationError
from amct_core.numerics.affine import FLT_EPSILON, process_scales
from amct_core.numerics.arrays import (
    Float32Array,
    Float64Array,
    Int8Array,
    along_channels,
    channel_list,
)


def _float64(values: ArrayLike) -> Float64Array:
    return np.asarray(values, np.float64).reshape(-1)


@attrs.frozen(eq=False)
class BatchNorm:
    """A BatchNorm layer with stored statistics.

    Attributes:
        mean, variance: ``[C]``, as stored (not yet divided).
        scale_factor: the third blob, their common divisor.
        eps: added to the variance; Caffe's default is 1e-5.
    """

    mean: Float64Array = attrs.field(converter=_float64)
    variance: Float64Array = attrs.field(converter=_float64)
    scale_factor: float = 1.0
    eps: float = 1e-5


@attrs.frozen(eq=False)
class Scale:
    """A Scale layer along the channels.

    Attributes:
        gamma: ``[C]``.
        beta: ``[C]``; None for a layer without bias.
    """

    gamma: Float64Array = attrs.field(converter=_float64)
    beta: Optional[Float64Array] = attrs.field(
        default=None, converter=attrs.converters.optional(_float64)
    )


def multiplier_and_shift(
    batch_norm: Optional[BatchNorm], scale: Optional[Scale]
) -> Tuple[Float64Array, Float64Array]:
    """Return ``(multiplier, shift)`` such that the two layers compute ``y * multiplier + shift``.

    Args:
        batch_norm, scale: what follows the layer, in this order; either may be None.

    Returns:
        Two float64 arrays, ``[C]`` (``[1]`` if both layers are None).

    Raises:
        ModelError: the blobs are of different lengths.
        QuantizationError: a statistic or parameter is not finite, or ``variance + eps`` is not
            above 0; the message names the channels.
    """
    _check_lengths(batch_norm, scale)
    multiplier, shift = np.ones(1), np.zeros(1)
    if batch_norm is not None:
        factor = float(batch_norm.scale_factor)
        divided = 0.0 if factor == 0 else 1.0 / factor
        variance = batch_norm.variance * divided + batch_norm.eps
        if not (variance > 0).all():
            raise QuantizationError(
                f"BatchNorm: variance + eps of {channel_list(~(variance > 0))} is not above 0.",
                remedy="Check the weights file.",
            )
        multiplier = multiplier / np.sqrt(variance)
        shift = -batch_norm.mean * divided * multiplier
    if scale is not None:
        beta = np.zeros(1) if scale.beta is None else scale.beta
        with np.errstate(invalid="ignore"):  # reported below
            multiplier, shift = multiplier * scale.gamma, shift * scale.gamma + beta
    unusable = ~(np.isfinite(multiplier) & np.isfinite(shift))
    if unusable.any():
        raise QuantizationError(
            f"BatchNorm or Scale: values of {channel_list(unusable)} are NaN or infinite.",
            remedy="Check the weights file.",
        )
    return multiplier, shift


def fold(
    weights: Float32Array,
    bias: Optional[Float32Array],
    batch_norm: Optional[BatchNorm],
    scale: Optional[Scale],
    channel_axis: int = 0,
    group: int = 1,
) -> Tuple[Float32Array, Float32Array]:
    """Return the weights and bias of one layer that computes all three.

    Args:
        weights: float32; ``channel_axis`` counts the output channels (1 for Deconvolution).
        bias: float32 ``[C]``, or None for zeros.
        batch_norm, scale: what follows the layer, in this order; either may be None.
        channel_axis: see above.
        group: of a Deconvolution: its ``channel_axis`` counts the output channels of one group,
            and axis 0 the input channels of all groups, one group after the other.  1 for a
            Convolution, whose ``channel_axis`` counts all of them.

    Returns:
        ``(weights', bias')``, float32, of the weights' shape and ``[C]``.

    Raises:
        QuantizationError: see multiplier_and_shift, or the folded values overflow float32.
    """
    multiplier, _ = multiplier_and_shift(batch_norm, scale)
    outputs = weights.shape[channel_axis] * group
    if group == 1 or multiplier.size == 1:
        factors = along_channels(multiplier, weights, channel_axis)
    else:
        # One row per input channel: the multipliers of the outputs of its group.
        rows = np.repeat(multiplier.reshape(group, -1), weights.shape[0] // group, axis=0)
        factors = rows[(slice(None), slice(None), *(None,) * (weights.ndim - 2))]
    folded_weights = _rounded(weights.astype(np.float64) * factors, "weights")
    return folded_weights, fold_bias(bias, batch_norm, scale, outputs)


def fold_before(
    weights: Float32Array,
    bias: Optional[Float32Array],
    batch_norm: Optional[BatchNorm],
    scale: Optional[Scale],
    group: int = 1,
) -> Tuple[Float32Array, Float32Array]:
    """Return the weights and bias of a convolution without padding that computes all three.

    Args:
        weights: float32 ``[out, in / group, ...]``.
        bias: float32 ``[out]``, or None for zeros.
        batch_norm, scale: what stands before the layer, in this order; either may be None.
        group: of the convolution; output channels of one group read input channels of the same.

    Returns:
        ``(weights', bias')``, float32, of the weights' shape and ``[out]``.

    Raises:
        ModelError: the layers have another number of channels than the weights read.
        QuantizationError: see :func:`fold`.
    """
    multiplier, shift = multiplier_and_shift(batch_norm, scale)
    outputs, inputs = weights.shape[:2]
    if multiplier.size != inputs * group:
        raise ModelError(
            f"BatchNorm and Scale have {multiplier.size} channels, and the layer behind them reads "
            f"{inputs * group}.",
            remedy="Check that model and weights file belong together.",
        )
    # Rows of the two tables: what the output channel's group reads.
    factors, shifts = (
        np.repeat(each.reshape(group, inputs), outputs // group, axis=0)
        for each in (multiplier, np.broadcast_to(shift, multiplier.shape))
    )
    before = weights.astype(np.float64)
    along = (slice(None), slice(None), *(None,) * (weights.ndim - 2))
    axes = tuple(range(1, weights.ndim))
    added = (before * shifts[along]).sum(axis=axes)
    own = np.zeros(outputs) if bias is None else np.asarray(bias, np.float64)
    return _rounded(before * factors[along], "weights"), _rounded(own + added, "bias")


def fold_bias(
    bias: Optional[Float32Array],
    batch_norm: Optional[BatchNorm],
    scale: Optional[Scale],
    channels: int,
) -> Float32Array:
    """Return ``bias * multiplier + shift``, float32 ``[channels]``.

    Args:
        bias: float32 ``[C]``, or None for zeros.
        batch_norm, scale: as in :func:`fold`.
        channels: C.

    Raises:
        QuantizationError: see :func:`fold`.
    """
    multiplier, shift = multiplier_and_shift(batch_norm, scale)
    before = np.zeros(channels) if bias is None else np.asarray(bias, np.float64)
    return _rounded(before * multiplier + shift, "bias")


def fold_scales(scale_w: Float32Array, multiplier: Float64Array) -> Float32Array:
    """Return ``scale_w' = |multiplier| * scale_w`` per channel.

    Where the product is below FLT_EPSILON the channel is dead: its weights count for nothing, and
    its scale becomes 1.0.  It is the rule by which ARQ calls a channel dead, so folding before
    training and after it agree: :func:`amct_core.numerics.affine.process_scales`.

    Args:
        scale_w: float32 ``[C]`` or ``[1]``.
        multiplier: float64 ``[C]`` or ``[1]``.

    Returns:
        float32, as long as the longer of the two.

    Raises:
        QuantizationError: a product is above 1 / FLT_EPSILON, or overflows float32.
    """
    return process_scales(_folded_scales(scale_w, multiplier))


def orientation(gamma: Optional[ArrayLike]) -> Float32Array:
    """Return the sign that each channel's weights are quantized with: -1 where gamma < 0, else 1.

    Args:
        gamma: ``[C]``, of the Scale that will be folded; None for none.

    Returns:
        float32 ``[C]``; ``[1]`` without a Scale.
    """
    if gamma is None:
        return np.ones(1, np.float32)
    return np.where(np.asarray(gamma).reshape(-1) < 0, -1, 1).astype(np.float32)


def fold_quantized(
    weights: Int8Array,
    scale_w: Float32Array,
    multiplier: Float64Array,
    channel_axis: int = 0,
) -> Tuple[Int8Array, Float32Array]:
    """Return the int8 weights and scales after folding.

    Args:
        weights: int8, quantized with :func:`orientation`; ``channel_axis`` counts the output
            channels (1 for Deconvolution).
        scale_w: float32 ``[C]`` or ``[1]``.
        multiplier: float64 ``[C]``, of :func:`multiplier_and_shift`.
        channel_axis: see above.

    Returns:
        ``(weights, scale_w')``; dead channels (see :func:`fold_scales`) become 0 with scale 1.0.

    Raises:
        QuantizationError: see :func:`fold_scales`.
    """
    scales = _folded_scales(scale_w, np.atleast_1d(np.asarray(multiplier, np.float64)))
    alive = along_channels(scales >= FLT_EPSILON, weights, channel_axis).astype(np.int8)
    return weights * alive, process_scales(scales)


def _check_lengths(batch_norm: Optional[BatchNorm], scale: Optional[Scale]) -> None:
    lengths = {}
    if batch_norm is not None:
        lengths.update({"mean": batch_norm.mean.size, "variance": batch_norm.variance.size})
    if scale is not None:
        lengths["gamma"] = scale.gamma.size
        if scale.beta is not None:
            lengths["beta"] = scale.beta.size
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ModelError(
            f"BatchNorm and Scale have blobs of different lengths: {found}; expected one value "
            "per channel.",
            remedy="Check that model and weights file belong together.",
        )


def _folded_scales(scale_w: Float32Array, multiplier: Float64Array) -> Float32Array:
    magnitude: Float64Array = np.abs(multiplier)
    product = magnitude * np.asarray(scale_w, np.float64)
    return np.atleast_1d(_rounded(product, "weight scales"))


def _rounded(values: Float64Array, what: str) -> Float32Array:
    with np.errstate(over="ignore", under="ignore"):
        result = values.astype(np.float32)
    if not np.isfinite(result).all():
        raise QuantizationError(
            f"{what} are NaN or overflow float32 when BatchNorm and Scale are folded.",
            remedy="Check the weights file.",
        )
    return result
