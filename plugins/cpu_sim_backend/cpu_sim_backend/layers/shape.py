"""Layers that move values and compute nothing."""

from __future__ import annotations

from typing import Any, List, Sequence

import numpy as np
from numpy.typing import NDArray

from amct_core.extensions import LayerSimulator
from amct_core.graph import Node
from amct_core.graph.attributes import Concat, Crop, Flatten, Permute, Reshape, Slice, Tile

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


def permute(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the input with its axes reordered; axes that the order leaves out follow."""
    a = node.attributes if isinstance(node.attributes, Permute) else Permute()
    axes = range(inputs[0].ndim)
    order = [*a.order, *(axis for axis in axes if axis not in a.order)]
    return [np.ascontiguousarray(inputs[0].transpose(order))]


def crop(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the first input cut to the second one's size, from an axis on."""
    a = node.attributes if isinstance(node.attributes, Crop) else Crop()
    x, reference = inputs
    first = a.axis if a.axis >= 0 else x.ndim + a.axis
    offsets = a.offsets or (0,)
    if len(offsets) == 1:
        offsets *= x.ndim - first
    cut = [slice(None)] * first
    cut += [slice(offset, offset + size) for offset, size in zip(offsets, reference.shape[first:])]
    return [x[tuple(cut)]]


def tile(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return copies of the input, joined along an axis."""
    a = node.attributes
    assert isinstance(a, Tile)
    return [np.concatenate([inputs[0]] * a.tiles, axis=a.axis)]


def batch_reindex(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the images that the second input's indices name."""
    return [inputs[0][inputs[1].astype(np.int64)]]


def silence(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return nothing: the layer only keeps its inputs from being outputs of the network."""
    return []


SIMULATORS = (
    LayerSimulator(layer_type="BatchReindex", run=batch_reindex),
    LayerSimulator(layer_type="Crop", run=crop),
    LayerSimulator(layer_type="Permute", run=permute),
    LayerSimulator(layer_type="Silence", run=silence),
    LayerSimulator(layer_type="Tile", run=tile),
    LayerSimulator(layer_type="Dropout", run=same),
    LayerSimulator(layer_type="Split", run=same),
    LayerSimulator(layer_type="Concat", run=concat),
    LayerSimulator(layer_type="Slice", run=slices),
    LayerSimulator(layer_type="Flatten", run=flatten),
    LayerSimulator(layer_type="Reshape", run=reshape),
)
