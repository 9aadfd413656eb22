"""Softmax."""

from __future__ import annotations

from typing import Any, List, Sequence

import numpy as np
from numpy.typing import NDArray

from amct_core.extensions import LayerSimulator
from amct_core.graph import Node
from amct_core.graph.attributes import Softmax, SoftmaxWithLoss


def softmax(node: Node, inputs: Sequence[NDArray[Any]]) -> List[NDArray[Any]]:
    """Return ``exp(x - max) / sum(exp(x - max))`` along the axis."""
    a = node.attributes
    axis = a.axis if isinstance(a, (Softmax, SoftmaxWithLoss)) else 1
    powers = np.exp(inputs[0] - inputs[0].max(axis=axis, keepdims=True))
    return [powers / powers.sum(axis=axis, keepdims=True)]


SIMULATORS = (LayerSimulator(layer_type="Softmax", run=softmax, exact=False),)
"""Within 1e-6 of Caffe's, whose sum a BLAS orders."""
