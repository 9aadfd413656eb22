"""How large the partial sums of a quantized layer can get on given data."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.graph import Node


def largest_partial_sum(node: Node, magnitude: NDArray[Any]) -> int:
    """Return the largest sum of ``|w_q| * |q - offset|`` over all outputs of the layer.

    Whatever the order in which a sum is taken, none of its partial sums is larger in magnitude.

    Args:
        node: a quantized layer with integer weights.
        magnitude: ``|q - offset|``, 0..255.
    """
    accumulate = node.type.accumulate
    assert accumulate is not None
    if node.weights:
        weights = np.abs(node.weights[0].astype(np.int16))
        node = attrs.evolve(node, weights=(weights,))
    return int(accumulate(node, magnitude.astype(np.int32)).max(initial=0))
