"""Weights in integers, as training, saving and simulation all see them.

Where a Scale behind a layer will be folded into it, an output channel whose gamma is negative is
quantized as ``-w``: its integers are then those of the folded layer already.  Were ``w`` quantized
instead, folding would turn a -128 into 128, which is no int8.  What the layer computes with until
then is ``-q * scale_w``.
"""

from __future__ import annotations

from typing import Any, Optional

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.contracts.usage import Usage
from amct_core.contracts.weights import (
    check_in_place,
    check_scales,
    checked_integers,
    checked_scales,
)
from amct_core.extensions import WeightAlgorithm
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
    layer: Optional[str] = None,
) -> IntegerWeights:
    """Return the integers of float32 ``weights``.

    Args:
        weights: float32, any shape.
        algorithm: what finds the scales and the integers.
        output_axis: the axis that counts output channels.
        channel_wise: one scale per output channel, or one for all.
        gamma: ``[C]``, of the Scale that will be folded into the layer; None for none.
        layer: whose weights they are, for messages.

    Raises:
        QuantizationError: a weight is NaN or infinite.
        PluginError: the algorithm fails, or breaks its contract.
    """
    weights = np.asarray(weights, np.float32)
    signs = orientation(gamma)
    axis = output_axis if channel_wise else None
    oriented = weights
    if (signs < 0).any():
        oriented = weights * along_channels(signs, weights, output_axis)
    scale_w = checked_scales(algorithm, oriented, axis, layer)
    integers = checked_integers(algorithm, oriented, scale_w, axis, layer)
    return IntegerWeights(integers, scale_w, signs, output_axis)


def fake_quantize_into(
    out: NDArray[np.float32],
    weights: NDArray[np.float32],
    algorithm: WeightAlgorithm,
    output_axis: int,
    channel_wise: bool,
    gamma: Optional[Any] = None,
    layer: Optional[str] = None,
    thorough: bool = False,
) -> NDArray[np.float32]:
    """Write what :meth:`IntegerWeights.fake_quantized` of :func:`quantize_weights` returns.

    Args:
        out: float32 of the shape of ``weights``, C-contiguous.
        weights, algorithm, output_axis, channel_wise, gamma, layer: see :func:`quantize_weights`.
        thorough: whether what an algorithm writes in place is compared with what its other
            functions give, for layers of at most :data:`MOST_COMPARED` weights.

    Returns:
        ``scale_w``: float32 ``[C]``, or ``[1]``; > 0.

    Raises:
        QuantizationError: a weight is NaN or infinite.
        PluginError: the algorithm fails, or breaks its contract.
    """
    if algorithm.fake_quantize_into is not None:
        signs = orientation(gamma)
        usage = Usage(algorithm, layer)
        with usage.running("fake_quantize_into"):
            found = algorithm.fake_quantize_into(weights, out, signs, output_axis, channel_wise)
        count = weights.shape[output_axis] if channel_wise else 1
        scale_w = check_scales(usage, "fake_quantize_into", found, count)
        if thorough and weights.size <= MOST_COMPARED:
            plain = quantize_weights(weights, algorithm, output_axis, channel_wise, gamma, layer)
            expected = plain.fake_quantized()
            check_in_place(algorithm, out, scale_w, expected, plain.scale_w, layer)
        return scale_w
    quantized = quantize_weights(weights, algorithm, output_axis, channel_wise, gamma, layer)
    out[...] = quantized.fake_quantized()
    return quantized.scale_w
