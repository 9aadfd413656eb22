"""Weights in integers, as training, saving and simulation all see them.

Where a Scale behind a layer will be folded into it, an output channel whose gamma is negative is
quantized as ``-w``: its integers are then those of the folded layer already.  Were ``w`` quantized
instead, folding would turn a -128 into 128, which is no int8.  What the layer computes with until
then is ``-q * scale_w``.
"""

from __future__ import annotations

from typing import Any, Optional, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.contracts.usage import Usage
from amct_core.contracts.weights import (
    check_in_place,
    check_scales,
    checked_gradients,
    checked_integers,
    checked_scales,
)
from amct_core.extensions import WeightAlgorithm
from amct_core.numerics.affine import FLT_EPSILON, process_scales
from amct_core.numerics.arrays import along_channels
from amct_core.numerics.bn_fold import orientation

MOST_COMPARED = 1 << 22
"""Weights of the largest layer that is quantized twice to compare; others would take too long."""


@attrs.frozen(eq=False)
class IntegerWeights:
    """The weights of one layer in integers.

    Attributes:
        integers: int8, of ``orientation * w``.
        scale_w: float32 ``[C]``, or ``[1]``; > 0.
        orientation: float32 ``[C]`` of 1 and -1, or ``[1]``.
        output_axis: the axis of ``integers`` that counts output channels.
    """

    integers: NDArray[np.int8]
    scale_w: NDArray[np.float32]
    orientation: NDArray[np.float32]
    output_axis: int

    def fake_quantized(self) -> NDArray[np.float32]:
        """Return what the layer trains with: ``orientation * float32(integers) * scale_w``."""
        result = self.integers.astype(np.float32)
        signed = self.orientation * self.scale_w  # exact: the factor is 1 or -1
        result *= along_channels(signed, result, self.output_axis)
        return result


def quantize_weights(
    weights: Any,
    algorithm: WeightAlgorithm,
    output_axis: int,
    channel_wise: bool,
    gamma: Optional[Any] = None,
    learned_scales: Optional[NDArray[np.float32]] = None,
    layer: Optional[str] = None,
) -> IntegerWeights:
    """Return the integers of float32 ``weights``.

    Args:
        weights: float32, any shape.
        algorithm: what finds the scales and the integers.
        output_axis: the axis that counts output channels.
        channel_wise: one scale per output channel, or one for all.
        gamma: ``[C]``, of the Scale that will be folded into the layer; None for none.
        learned_scales: float32 ``[C]``, or ``[1]``, as training left them; None: they follow from
            the weights.
        layer: whose weights they are, for messages.

    Raises:
        QuantizationError: a weight is NaN or infinite, or a learned scale is, or is too large.
        PluginError: the algorithm fails, or breaks its contract.
    """
    weights = np.asarray(weights, np.float32)
    signs = orientation(gamma)
    axis = output_axis if channel_wise else None
    oriented = _oriented(weights, signs, output_axis)
    if learned_scales is None:
        scale_w = checked_scales(algorithm, oriented, axis, layer)
    else:
        scale_w = usable_scales(learned_scales)
    integers = checked_integers(algorithm, oriented, scale_w, axis, layer)
    return IntegerWeights(integers, scale_w, signs, output_axis)


def _oriented(
    weights: NDArray[np.float32], signs: NDArray[np.float32], output_axis: int
) -> NDArray[np.float32]:
    if not (signs < 0).any():
        return weights
    turned: NDArray[np.float32] = weights * along_channels(signs, weights, output_axis)
    return turned


def usable_scales(learned: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return learned scales as weights are quantized with them: at least FLT_EPSILON.

    A solver may step below 0.  The smallest scale that is allowed saturates all weights, so that
    the gradient of the scale leads back.

    Raises:
        QuantizationError: one is NaN, infinite or above ``1 / FLT_EPSILON``.
    """
    # maximum() passes NaN on.
    return process_scales(np.maximum(np.asarray(learned, np.float32), np.float32(FLT_EPSILON)))


def learned_gradients(
    weights: NDArray[np.float32],
    top_diff: NDArray[np.float32],
    algorithm: WeightAlgorithm,
    output_axis: int,
    channel_wise: bool,
    gamma: Optional[Any],
    learned_scales: NDArray[np.float32],
    layer: Optional[str] = None,
) -> Tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the gradients of weights and learned scales.

    Args:
        weights, algorithm, output_axis, channel_wise, gamma, learned_scales, layer: see
            :func:`quantize_weights`.
        top_diff: gradient of what the layer trains with, of the shape of ``weights``.

    Returns:
        float32 of the shape of ``weights``, and of that of the scales.

    Raises:
        PluginError: the algorithm fails, or breaks its contract.
    """
    signs = orientation(gamma)
    d_weights, d_scale = checked_gradients(
        algorithm,
        _oriented(weights, signs, output_axis),
        _oriented(top_diff, signs, output_axis),
        usable_scales(learned_scales),
        output_axis if channel_wise else None,
        layer,
    )
    return _oriented(d_weights, signs, output_axis), d_scale


def fake_quantize_into(
    out: NDArray[np.float32],
    weights: NDArray[np.float32],
    algorithm: WeightAlgorithm,
    output_axis: int,
    channel_wise: bool,
    gamma: Optional[Any] = None,
    learned_scales: Optional[NDArray[np.float32]] = None,
    layer: Optional[str] = None,
    thorough: bool = False,
) -> NDArray[np.float32]:
    """Write what :meth:`IntegerWeights.fake_quantized` of :func:`quantize_weights` returns.

    Args:
        out: float32 of the shape of ``weights``, C-contiguous.
        weights, algorithm, output_axis, channel_wise, gamma, learned_scales, layer: see
            :func:`quantize_weights`.
        thorough: whether what an algorithm writes in place is compared with what its other
            functions give, for layers of at most :data:`MOST_COMPARED` weights.

    Returns:
        ``scale_w``: float32 ``[C]``, or ``[1]``; > 0.

    Raises:
        QuantizationError: a weight is NaN or infinite.
        PluginError: the algorithm fails, or breaks its contract.
    """
    if algorithm.fake_quantize_into is not None and learned_scales is None:
        signs = orientation(gamma)
        usage = Usage(algorithm, layer)
        with usage.running("fake_quantize_into"):
            found = algorithm.fake_quantize_into(weights, out, signs, output_axis, channel_wise)
        count = weights.shape[output_axis] if channel_wise else 1
        scale_w = check_scales(usage, "fake_quantize_into", found, count)
        if thorough and weights.size <= MOST_COMPARED:
            plain = quantize_weights(
                weights, algorithm, output_axis, channel_wise, gamma, layer=layer
            )
            expected = plain.fake_quantized()
            check_in_place(algorithm, out, scale_w, expected, plain.scale_w, layer)
        return scale_w
    quantized = quantize_weights(
        weights, algorithm, output_axis, channel_wise, gamma, learned_scales, layer
    )
    out[...] = quantized.fake_quantized()
    return quantized.scale_w
