"""How each layer type is computed, one file per family."""

from __future__ import annotations

from typing import Tuple

from amct_core.extensions import LayerSimulator
from cpu_sim_backend.layers import convolution, elementwise, inner_product, pooling, shape, softmax

SIMULATORS: Tuple[LayerSimulator, ...] = (
    *convolution.SIMULATORS,
    *elementwise.SIMULATORS,
    *inner_product.SIMULATORS,
    *pooling.SIMULATORS,
    *shape.SIMULATORS,
    *softmax.SIMULATORS,
)
"""The layer types that this package simulates."""

__all__ = ["SIMULATORS"]
