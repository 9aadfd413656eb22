"""Layers that move values and compute nothing."""

from __future__ import annotations

from typing import Any, List, Sequence

import numpy as np
from numpy.typing import NDArray

from amct_core.extensions import LayerSimulator
from amct_core.graph import Node
from amct_core.graph.attributes import Concat, Flatten, Reshape, Slice

Array = NDArray[Any]


def same(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the input for every output."""
    return [inputs[0]] * len(node.tops)


def concat(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the inputs joined along an axis."""
    axis = node.attributes.axis if isinstance(node.attributes, Concat) else 1
    return [np.concatenate(inputs, axis=axis)]


def slices(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the input cut along an axis."""
    a = node.attributes if isinstance(node.attributes, Slice) else Slice()
    points: Any = list(a.points) if a.points else len(node.tops)
    return list(np.split(inputs[0], points, axis=a.axis))


def flatten(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the input with some axes made one."""
    a = node.attributes if isinstance(node.attributes, Flatten) else Flatten()
    x = inputs[0]
    start = a.axis if a.axis >= 0 else x.ndim + a.axis
    end = a.end_axis if a.end_axis >= 0 else x.ndim + a.end_axis
    return [x.reshape(*x.shape[:start], -1, *x.shape[end + 1 :])]


def reshape(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the input in another shape; 0 copies a dimension, -1 is inferred."""
    a = node.attributes
    assert isinstance(a, Reshape)
    x = inputs[0]
    start = a.axis if a.axis >= 0 else x.ndim + a.axis + 1
    end = x.ndim if a.num_axes == -1 else start + a.num_axes
    middle = [x.shape[start + i] if dim == 0 else dim for i, dim in enumerate(a.dims)]
    return [x.reshape(*x.shape[:start], *middle, *x.shape[end:])]


SIMULATORS = (
    LayerSimulator(layer_type="Dropout", run=same),
    LayerSimulator(layer_type="Split", run=same),
    LayerSimulator(layer_type="Concat", run=concat),
    LayerSimulator(layer_type="Slice", run=slices),
    LayerSimulator(layer_type="Flatten", run=flatten),
    LayerSimulator(layer_type="Reshape", run=reshape),
)
