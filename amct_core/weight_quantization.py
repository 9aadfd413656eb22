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

from amct_core.extensions import WeightAlgorithm
from amct_core.numerics.arrays import along_channels
from amct_core.numerics.bn_fold import orientation


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
) -> IntegerWeights:
    """Return the integers of float32 ``weights``.

    Args:
        weights: float32, any shape.
        algorithm: what finds the scales and the integers.
        output_axis: the axis that counts output channels.
        channel_wise: one scale per output channel, or one for all.
        gamma: ``[C]``, of the Scale that will be folded into the layer; None for none.

    Raises:
        QuantizationError: a weight is NaN or infinite.
    """
    weights = np.asarray(weights, np.float32)
    signs = orientation(gamma)
    axis = output_axis if channel_wise else None
    oriented = weights
    if (signs < 0).any():
        oriented = weights * along_channels(signs, weights, output_axis)
    scale_w = algorithm.scales(oriented, axis)
    integers = algorithm.quantize(oriented, scale_w, axis)
    return IntegerWeights(integers, scale_w, signs, output_axis)


def fake_quantize_into(
    out: NDArray[np.float32],
    weights: NDArray[np.float32],
    algorithm: WeightAlgorithm,
    output_axis: int,
    channel_wise: bool,
    gamma: Optional[Any] = None,
) -> NDArray[np.float32]:
    """Write what :meth:`IntegerWeights.fake_quantized` of :func:`quantize_weights` returns.

    Args:
        out: float32 of the shape of ``weights``, C-contiguous.
        weights, algorithm, output_axis, channel_wise, gamma: see :func:`quantize_weights`.

    Returns:
        ``scale_w``: float32 ``[C]``, or ``[1]``; > 0.

    Raises:
        QuantizationError: a weight is NaN or infinite.
    """
    if algorithm.fake_quantize_into is not None:
        signs = orientation(gamma)
        scale_w: NDArray[np.float32] = algorithm.fake_quantize_into(
            weights, out, signs, output_axis, channel_wise
        )
        return scale_w
    quantized = quantize_weights(weights, algorithm, output_axis, channel_wise, gamma)
    out[...] = quantized.fake_quantized()
    return quantized.scale_w
