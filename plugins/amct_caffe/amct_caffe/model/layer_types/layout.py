"""Layers that move values and compute nothing.

Sources: ``LayerSetUp`` and ``Reshape`` of BVLC Caffe's layers of the same names; of permute_layer
in Caffe's SSD fork.
"""

from __future__ import annotations

from typing import Any, List, Sequence, Tuple

import attrs
import numpy as np

from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.layer_types.axes import Array, Outputs, Shapes, canonical_axis, count
from amct_caffe.model.layer_types.fitting import misfit
from amct_caffe.model.parameters import Parameters
from amct_core.errors import ModelError
from amct_core.extensions import LayerType, OnnxWriter, Role, Sign, same_shape
from amct_core.extensions.layer_type import Shape
from amct_core.graph import Node
from amct_core.graph.attributes import Attributes, Concat


@attrs.frozen
class Crop(Attributes):
    """The first input cut to the second one's size, from ``axis`` on.

    ``offsets``: where the cut begins, one for each axis from ``axis`` on or one for all of them;
    empty means 0.
    """

    axis: int
    offsets: Tuple[int, ...]


@attrs.frozen
class Flatten(Attributes):
    """Axes ``axis`` to ``end_axis`` (inclusive) become one."""

    axis: int
    end_axis: int


@attrs.frozen
class Permute(Attributes):
    """Axes reordered: output axis ``i`` is input axis ``order[i]``.

    The axes that ``order`` leaves out follow in their own order.
    """

    order: Tuple[int, ...]


@attrs.frozen
class Reshape(Attributes):
    """New shape ``dims`` for axes ``axis`` .. ``axis + num_axes``; 0 copies, -1 is inferred."""

    dims: Tuple[int, ...]
    axis: int
    num_axes: int


@attrs.frozen
class Slice(Attributes):
    """Split along ``axis`` at ``points`` (empty: equal parts)."""

    axis: int
    points: Tuple[int, ...]


@attrs.frozen
class Tile(Attributes):
    """``tiles`` copies of the input, one after the other along ``axis``."""

    tiles: int
    axis: int


def _read_concat(layer: Layer) -> Concat:
    return Concat(_axis(Parameters(layer, "concat_param"), "concat_dim"))


def _read_crop(layer: Layer) -> Crop:
    parameters = Parameters(layer, "crop_param")
    return Crop(parameters.integer("axis"), tuple(parameters.integers("offset")))


def _read_flatten(layer: Layer) -> Flatten:
    parameters = Parameters(layer, "flatten_param")
    return Flatten(parameters.integer("axis"), parameters.integer("end_axis"))


def _read_permute(layer: Layer) -> Permute:
    parameters = Parameters(layer, "permute_param")
    order = parameters.integers("order")
    if len(set(order)) != len(order):
        raise parameters.error("order", f"it names an axis twice: {order}.", "Name each axis once.")
    return Permute(tuple(order))


def _read_reshape(layer: Layer) -> Reshape:
    parameters = Parameters(layer, "reshape_param")
    shape = parameters.message.message("shape")
    dims = tuple(shape.integers("dim")) if shape is not None else ()
    return Reshape(dims, parameters.integer("axis"), parameters.integer("num_axes"))


def _read_slice(layer: Layer) -> Slice:
    parameters = Parameters(layer, "slice_param")
    return Slice(_axis(parameters, "slice_dim"), tuple(parameters.integers("slice_point")))


def _read_tile(layer: Layer) -> Tile:
    parameters = Parameters(layer, "tile_param")
    return Tile(tiles=parameters.integer("tiles"), axis=parameters.integer("axis"))


def _axis(parameters: Parameters, old_name: str) -> int:
    return parameters.integer(old_name if parameters.has(old_name) else "axis")


def _concat_shape(node: Node, inputs: Shapes) -> Outputs:
    """Return the first shape with the sizes along the axis added up."""
    first = inputs[0]
    axis = canonical_axis(node, node.typed(Concat).axis, first)
    for shape in inputs[1:]:
        if (shape[:axis], shape[axis + 1 :]) != (first[:axis], first[axis + 1 :]):
            raise ModelError(
                f"its inputs {first} and {shape} differ along other axes than axis {axis}.",
                layer=node.name,
                remedy="Check the layers that make them: kernels, strides and factors of size.",
            )
    joined = sum(shape[canonical_axis(node, axis, shape)] for shape in inputs)
    return [(*first[:axis], joined, *first[axis + 1 :])]


def _slice_shape(node: Node, inputs: Shapes) -> Outputs:
    """Return the parts between the slice points, or equal parts."""
    a, shape = node.typed(Slice), inputs[0]
    axis = canonical_axis(node, a.axis, shape)
    parts = len(node.tops)
    points = a.points or tuple(shape[axis] // parts * i for i in range(1, parts))
    edges = (0, *points, shape[axis])
    return [
        (*shape[:axis], end - start, *shape[axis + 1 :]) for start, end in zip(edges, edges[1:])
    ]


def _check_slice(node: Node, inputs: Shapes) -> None:
    a, shape = node.typed(Slice), inputs[0]
    size = shape[canonical_axis(node, a.axis, shape)]
    if not a.points and size % len(node.tops):
        raise misfit(node, shape, f"cannot be cut into {len(node.tops)} equal parts")


def _check_batch_reindex(node: Node, inputs: Shapes) -> None:
    if len(inputs[1]) != 1 or not inputs[0]:
        raise misfit(node, inputs[0], f"and indices of shape {inputs[1]}; expected a list of them")


def _flatten_shape(node: Node, inputs: Shapes) -> Outputs:
    """Return the shape with some axes made one."""
    a, shape = node.typed(Flatten), inputs[0]
    start, end = (canonical_axis(node, axis, shape) for axis in (a.axis, a.end_axis))
    if start > end:
        raise misfit(node, shape, f"has no axes from {start} to {end}")
    return [(*shape[:start], count(shape[start : end + 1]), *shape[end + 1 :])]


def _reshape_shape(node: Node, inputs: Shapes) -> Outputs:
    """Return the new dimensions between those that stay; 0 copies, -1 is what is left over."""
    a, shape = node.typed(Reshape), inputs[0]
    # An axis of -1 is the end: new axes may be appended.
    start = a.axis if a.axis >= 0 else len(shape) + a.axis + 1
    end = len(shape) if a.num_axes == -1 else start + a.num_axes
    if not 0 <= start <= end <= len(shape) or min(a.dims, default=0) < -1 or a.dims.count(-1) > 1:
        raise misfit(node, shape, f"has no axes {start} to {end}, or {a.dims} is no shape for them")
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


def _permute_shape(node: Node, inputs: Shapes) -> Outputs:
    """Return the dimensions in the new order."""
    shape = inputs[0]
    order = [canonical_axis(node, axis, shape) for axis in node.typed(Permute).order]
    order += [axis for axis in range(len(shape)) if axis not in order]
    if len(order) != len(shape):
        raise misfit(node, shape, f"has each axis once; {order} has not")
    return [tuple(shape[axis] for axis in order)]


def _crop_shape(node: Node, inputs: Shapes) -> Outputs:
    """Return the second input's dimensions from the axis on, the first one's before it."""
    a = node.typed(Crop)
    shape, reference = inputs
    axis = canonical_axis(node, a.axis, shape)
    if len(reference) < len(shape):
        raise misfit(node, shape, f"has more axes than {reference}, to which it is cut")
    cut = reference[axis : len(shape)]
    offsets = a.offsets or (0,)
    offsets = offsets * len(cut) if len(offsets) == 1 else offsets
    if len(offsets) != len(cut):
        raise misfit(node, shape, f"is cut along {len(cut)} axes; found {len(offsets)} offsets")
    for offset, size, own in zip(offsets, cut, shape[axis:]):
        if offset < 0 or offset + size > own:
            raise ModelError(
                f"it cuts {size} values from {offset} on, but its input {shape} has {own} there.",
                layer=node.name,
                field="offset",
                remedy="Check the offsets against the sizes of both inputs.",
            )
    return [(*shape[:axis], *cut)]


def _tile_shape(node: Node, inputs: Shapes) -> Outputs:
    """Return the shape with one dimension multiplied."""
    a, shape = node.typed(Tile), inputs[0]
    axis = canonical_axis(node, a.axis, shape)
    return [(*shape[:axis], shape[axis] * a.tiles, *shape[axis + 1 :])]


def _batch_reindex_shape(node: Node, inputs: Shapes) -> Outputs:
    """Return as many images as the second input has indices."""
    _check_batch_reindex(node, inputs)
    return [(inputs[1][0], *inputs[0][1:])]


def same(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the input for every output."""
    return [inputs[0]] * len(node.tops)


def concat(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the inputs joined along an axis."""
    axis = node.typed(Concat).axis
    return [np.concatenate(inputs, axis=axis)]


def slices(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the input cut along an axis."""
    a = node.typed(Slice)
    points: Any = list(a.points) if a.points else len(node.tops)
    return list(np.split(inputs[0], points, axis=a.axis))


def flatten(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the input with some axes made one."""
    a = node.typed(Flatten)
    x = inputs[0]
    start = a.axis if a.axis >= 0 else x.ndim + a.axis
    end = a.end_axis if a.end_axis >= 0 else x.ndim + a.end_axis
    return [x.reshape(*x.shape[:start], -1, *x.shape[end + 1 :])]


def reshape(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the input in another shape; 0 copies a dimension, -1 is inferred.

    Raises:
        ModelError: the shape is for another number of values, such as those of another batch size.
    """
    x = inputs[0]
    (shape,) = _reshape_shape(node, [x.shape])
    assert shape is not None
    return [x.reshape(shape)]


def permute(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the input with its axes reordered; axes that the order leaves out follow."""
    a = node.typed(Permute)
    axes = range(inputs[0].ndim)
    order = [*a.order, *(axis for axis in axes if axis not in a.order)]
    return [np.ascontiguousarray(inputs[0].transpose(order))]


def crop(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the first input cut to the second one's size, from an axis on."""
    a = node.typed(Crop)
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
    a = node.typed(Tile)
    return [np.concatenate([inputs[0]] * a.tiles, axis=a.axis)]


def batch_reindex(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the images that the second input's indices name.

    Raises:
        ModelError: there is no such image.
    """
    x, named = inputs
    if not ((named >= 0) & (named < len(x))).all():
        raise ModelError(
            f"its second input names images out of 0..{len(x) - 1}.",
            layer=node.name,
            remedy="Check what makes the indices.",
        )
    return [x[named.astype(np.int64)]]


def silence(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return nothing: the layer only keeps its inputs from being outputs of the network."""
    return []


def _same_onnx(
    writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    for output in outputs:
        writer.add("Identity", inputs[:1], output)


def _nothing_onnx(
    writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    pass


def _concat_onnx(
    writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    writer.add("Concat", inputs, outputs[0], axis=node.typed(Concat).axis)


def _slice_onnx(
    writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    axis = node.typed(Slice).axis
    sizes = writer.constant([writer.shape(node, v)[axis] for v in node.outputs], np.int64)
    writer.add_many("Split", [*inputs, sizes], outputs, axis=axis)


def _reshape_onnx(
    writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    """Flatten and Reshape: any batch size, all other sizes as they are."""
    shape = writer.shape(node, node.outputs[0])
    batch, *sizes = writer.shape(node, node.inputs[0])
    if shape[0] != batch and not _only_first_grows(node, (batch, *sizes), shape):
        raise ModelError(
            f"it turns a batch of {batch} into {shape[0]}, which depends on the batch size.",
            layer=node.name,
            remedy="Simulate the model instead.",
        )
    writer.add("Reshape", [*inputs, writer.constant([-1, *shape[1:]], np.int64)], outputs[0])


def _only_first_grows(node: Node, shape: Shape, result: Shape) -> bool:
    """Return whether another batch size changes the first size of ``result`` alone."""
    assert node.type.shape is not None
    try:
        (doubled,) = node.type.shape(node, [(2 * shape[0], *shape[1:])])
    except ModelError:
        return False  # all its numbers are fixed
    return doubled == (2 * result[0], *result[1:])


def _permute_onnx(
    writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    order = list(node.typed(Permute).order)
    rank = len(writer.shape(node, node.inputs[0]))
    order += [axis for axis in range(rank) if axis not in order]
    writer.add("Transpose", inputs, outputs[0], perm=order)


def _crop_onnx(
    writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    """A Slice along the axes from the layer's own on."""
    a, shape = node.typed(Crop), writer.shape(node, node.inputs[0])
    cut = writer.shape(node, node.outputs[0])
    axis = canonical_axis(node, a.axis, shape)
    offsets = a.offsets or (0,)
    offsets = offsets * (len(shape) - axis) if len(offsets) == 1 else offsets
    if axis == 0 and (offsets[0], cut[0]) != (0, shape[0]):
        raise ModelError(
            "it cuts samples out of the batch, whose size is open in ONNX.",
            layer=node.name,
            remedy="Simulate the model instead.",
        )
    axes = range(max(axis, 1), len(shape))
    starts = [offsets[i - axis] for i in axes]
    ends = [start + cut[i] for i, start in zip(axes, starts)]
    places = [writer.constant(list(values), np.int64) for values in (starts, ends, axes)]
    writer.add("Slice", [inputs[0], *places], outputs[0])


def _tile_onnx(
    writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    a = node.typed(Tile)
    repeats = [1] * len(writer.shape(node, node.inputs[0]))
    repeats[a.axis] = a.tiles
    writer.add("Tile", [*inputs, writer.constant(repeats, np.int64)], outputs[0])


LAYER_TYPES = (
    LayerType(
        "BatchReindex",
        inputs=(2, 2),
        without_gradient=(1,),
        shape=_batch_reindex_shape,
        needs_every_shape=True,
        run=batch_reindex,
        selects_values=True,
    ),
    LayerType(
        "Concat",
        attributes=_read_concat,
        shape=_concat_shape,
        needs_every_shape=True,
        sign=Sign.KEPT,
        run=concat,
        selects_values=True,
        onnx=_concat_onnx,
    ),
    LayerType(
        "Crop",
        inputs=(2, 2),
        attributes=_read_crop,
        shape=_crop_shape,
        needs_every_shape=True,
        sign=Sign.KEPT,
        data_inputs=1,  # the second one is a shape
        run=crop,
        selects_values=True,
        onnx=_crop_onnx,
    ),
    LayerType(
        "Dropout",
        inputs=(1, 1),
        shape=same_shape,
        sign=Sign.KEPT,
        run=same,
        identity=True,
        onnx=_same_onnx,
    ),
    LayerType(
        "Flatten",
        attributes=_read_flatten,
        inputs=(1, 1),
        shape=_flatten_shape,
        sign=Sign.KEPT,
        run=flatten,
        selects_values=True,
        onnx=_reshape_onnx,
    ),
    LayerType(
        "Permute",
        attributes=_read_permute,
        inputs=(1, 1),
        shape=_permute_shape,
        sign=Sign.KEPT,
        run=permute,
        selects_values=True,
        onnx=_permute_onnx,
    ),
    LayerType(
        "Reshape",
        attributes=_read_reshape,
        inputs=(1, 1),
        shape=_reshape_shape,
        sign=Sign.KEPT,
        run=reshape,
        selects_values=True,
        onnx=_reshape_onnx,
    ),
    LayerType("Silence", role=Role.SINK, run=silence, onnx=_nothing_onnx),
    LayerType(
        "Slice",
        attributes=_read_slice,
        inputs=(1, 1),
        shape=_slice_shape,
        check_inputs=_check_slice,
        sign=Sign.KEPT,
        run=slices,
        selects_values=True,
        onnx=_slice_onnx,
    ),
    LayerType(
        "Split",
        inputs=(1, 1),
        shape=same_shape,
        sign=Sign.KEPT,
        run=same,
        identity=True,
        onnx=_same_onnx,
    ),
    LayerType(
        "Tile",
        attributes=_read_tile,
        inputs=(1, 1),
        shape=_tile_shape,
        run=tile,
        selects_values=True,
        onnx=_tile_onnx,
    ),
)
