"""How each layer type is computed, one file per family.

Not simulated: losses and Accuracy, which a deployed network does not have, and the layers of
Caffe's SSD fork that need boxes (Normalize, PriorBox, DetectionOutput).  They pass through
everything that does not run the network, and a plugin may add how they are computed.
"""

from __future__ import annotations

from typing import Tuple

from amct_core.extensions import LayerSimulator
from cpu_sim_backend.layers import (
    activations,
    convolution,
    elementwise,
    inner_product,
    normalization,
    pooling,
    reductions,
    shape,
    softmax,
)

SIMULATORS: Tuple[LayerSimulator, ...] = (
    *activations.SIMULATORS,
    *convolution.SIMULATORS,
    *elementwise.SIMULATORS,
    *inner_product.SIMULATORS,
    *normalization.SIMULATORS,
    *pooling.SIMULATORS,
    *reductions.SIMULATORS,
    *shape.SIMULATORS,
    *softmax.SIMULATORS,
)
"""The layer types that this package simulates."""

__all__ = ["SIMULATORS"]
