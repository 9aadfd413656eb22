"""Layers that make few values of many.

Source: ``Forward_cpu`` of BVLC Caffe's reduction_layer and argmax_layer.
"""

from __future__ import annotations

from typing import Any, List, Sequence

import numpy as np
from numpy.typing import NDArray

from amct_core.extensions import LayerSimulator
from amct_core.graph import Node
from amct_core.graph.attributes import ArgMax, Reduction

Array = NDArray[Any]


def reduction(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the sum (of values, magnitudes or squares) or mean over all axes from ``axis`` on."""
    a = node.attributes if isinstance(node.attributes, Reduction) else Reduction()
    x = inputs[0]
    outer = x.shape[: a.axis if a.axis >= 0 else x.ndim + a.axis]
    rows = x.reshape(*outer, -1).astype(np.float64)
    if a.operation == "ASUM":
        rows = np.abs(rows)
    elif a.operation == "SUMSQ":
        rows = np.square(rows)
    coefficient = np.float32(a.coefficient)
    if a.operation == "MEAN":
        coefficient = coefficient / np.float32(rows.shape[-1])
    return [np.asarray(rows.sum(axis=-1).astype(np.float32) * coefficient)]


def arg_max(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return where the largest values are, or with them, as float32; of equal ones the last."""
    a = node.attributes if isinstance(node.attributes, ArgMax) else ArgMax()
    x = inputs[0]
    if a.axis is not None:
        indices = _largest(x, a.axis, a.top_k)
        found = np.take_along_axis(x, indices, a.axis) if a.out_max_val else indices
        return [found.astype(np.float32)]
    rows = x.reshape(x.shape[0], -1)
    indices = _largest(rows, 1, a.top_k)
    parts = [indices.astype(np.float32)]
    if a.out_max_val:
        parts.append(np.take_along_axis(rows, indices, 1))
    return [np.stack(parts, axis=1).reshape(len(x), len(parts), a.top_k, *(1,) * (x.ndim - 3))]


def _largest(x: Array, axis: int, top_k: int) -> Array:
    """Return the indices of the ``top_k`` largest values, largest first."""
    # Caffe sorts (value, index) downwards: of equal values the one with the larger index comes
    # first, which is a stable upward sort read backwards.
    order = np.flip(np.argsort(x, axis=axis, kind="stable"), axis=axis)
    return np.take(order, np.arange(top_k), axis=axis)


SIMULATORS = (
    LayerSimulator(layer_type="ArgMax", run=arg_max),
    LayerSimulator(layer_type="Reduction", run=reduction, exact=False),
)
"""A BLAS orders the sums of a Reduction."""
