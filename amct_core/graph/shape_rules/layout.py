"""Shapes of layers that move values and compute nothing.

Sources: ``Reshape`` of BVLC Caffe's layers of the same names; of permute_layer in Caffe's SSD fork.
"""

from __future__ import annotations

from amct_core.errors import ModelError
from amct_core.graph.attributes import Concat, Crop, Flatten, Permute, Reshape, Slice, Tile
from amct_core.graph.graph import Node
from amct_core.graph.shape_rules.rule import Outputs, Shapes, canonical_axis, count, unknown


def concat(node: Node, inputs: Shapes) -> Outputs:
    """Return the first shape with the sizes along the axis added up."""
    a = node.attributes if isinstance(node.attributes, Concat) else Concat()
    first = inputs[0]
    axis = canonical_axis(node, a.axis, first)
    joined = sum(shape[canonical_axis(node, axis, shape)] for shape in inputs)
    return [(*first[:axis], joined, *first[axis + 1 :])]


def slices(node: Node, inputs: Shapes) -> Outputs:
    """Return the parts between the slice points, or equal parts."""
    a = node.attributes if isinstance(node.attributes, Slice) else Slice()
    shape = inputs[0]
    axis = canonical_axis(node, a.axis, shape)
    parts = len(node.tops)
    points = a.points or tuple(shape[axis] // parts * i for i in range(1, parts))
    edges = (0, *points, shape[axis])
    return [
        (*shape[:axis], end - start, *shape[axis + 1 :]) for start, end in zip(edges, edges[1:])
    ]


def flatten(node: Node, inputs: Shapes) -> Outputs:
    """Return the shape with some axes made one."""
    a = node.attributes if isinstance(node.attributes, Flatten) else Flatten()
    shape = inputs[0]
    start, end = (canonical_axis(node, axis, shape) for axis in (a.axis, a.end_axis))
    return [(*shape[:start], count(shape[start : end + 1]), *shape[end + 1 :])]


def reshape(node: Node, inputs: Shapes) -> Outputs:
    """Return the new dimensions between those that stay; 0 copies, -1 is what is left over."""
    a = node.attributes
    if not isinstance(a, Reshape):
        return unknown(node)
    shape = inputs[0]
    # An axis of -1 is the end: new axes may be appended.
    start = a.axis if a.axis >= 0 else len(shape) + a.axis + 1
    end = len(shape) if a.num_axes == -1 else start + a.num_axes
    middle = [
        shape[canonical_axis(node, start + i, shape)] if dim == 0 else dim
        for i, dim in enumerate(a.dims)
    ]
    if -1 in middle:
        rest = count([dim for dim in middle if dim != -1])
        middle[middle.index(-1)] = count(shape[start:end]) // rest if rest else 0
    result = (*shape[:start], *middle, *shape[end:])
    if count(result) != count(shape):
        raise ModelError(
            f"its input {shape} has {count(shape)} values, and {result} has {count(result)}.",
            layer=node.name,
            field="shape",
            remedy="Check the dimensions of this layer against its input.",
        )
    return [result]


def permute(node: Node, inputs: Shapes) -> Outputs:
    """Return the dimensions in the new order."""
    a = node.attributes
    if not isinstance(a, Permute):
        return unknown(node)
    shape = inputs[0]
    order = [canonical_axis(node, axis, shape) for axis in a.order]
    order += [axis for axis in range(len(shape)) if axis not in order]
    return [tuple(shape[axis] for axis in order)]


def crop(node: Node, inputs: Shapes) -> Outputs:
    """Return the second input's dimensions from the axis on, the first one's before it."""
    a = node.attributes if isinstance(node.attributes, Crop) else Crop()
    shape, reference = inputs
    axis = canonical_axis(node, a.axis, shape)
    cut = reference[axis : len(shape)]
    offsets = a.offsets or (0,)
    offsets = offsets * len(cut) if len(offsets) == 1 else offsets
    for offset, size, own in zip(offsets, cut, shape[axis:]):
        if offset + size > own:
            raise ModelError(
                f"it cuts {size} values from {offset} on, but its input {shape} has {own} there.",
                layer=node.name,
                field="offset",
                remedy="Check the offsets against the sizes of both inputs.",
            )
    return [(*shape[:axis], *cut)]


def tile(node: Node, inputs: Shapes) -> Outputs:
    """Return the shape with one dimension multiplied."""
    a = node.attributes
    if not isinstance(a, Tile):
        return unknown(node)
    shape = inputs[0]
    axis = canonical_axis(node, a.axis, shape)
    return [(*shape[:axis], shape[axis] * a.tiles, *shape[axis + 1 :])]


def batch_reindex(node: Node, inputs: Shapes) -> Outputs:
    """Return as many images as the second input has indices."""
    return [(inputs[1][0], *inputs[0][1:])]
