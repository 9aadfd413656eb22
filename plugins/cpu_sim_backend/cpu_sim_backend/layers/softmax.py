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
    x = inputs[0]
    # Rounded once from double: NumPy's exp in float32 errs by up to 3 units in the last place.
    powers = np.exp((x - x.max(axis=axis, keepdims=True)).astype(np.float64)).astype(x.dtype)
    return [powers / np.expand_dims(_sum_in_fours(np.moveaxis(powers, axis, 0)), axis)]


def _sum_in_fours(values: NDArray[Any]) -> NDArray[Any]:
    """Return the sum along axis 0, taken four by four.

    Caffe's sum is a matrix-vector product (``SoftmaxLayer::Forward_cpu``).  OpenBLAS's, for the one
    row of a classifier, adds four products and then these to the result; over a thousand classes
    another order differs by more than 1e-6 (OpenBLAS kernel/x86_64/sgemv_n_4.c).
    """
    total = np.zeros(values.shape[1:], values.dtype)
    whole = len(values) - len(values) % 4
    for i in range(0, whole, 4):
        total = total + (((values[i] + values[i + 1]) + values[i + 2]) + values[i + 3])
    for i in range(whole, len(values)):
        total = total + values[i]
    return total


SIMULATORS = (LayerSimulator(layer_type="Softmax", run=softmax, exact=False),)
"""Within 1e-6 of Caffe's, whose sum a BLAS orders."""
