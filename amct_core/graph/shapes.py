"""Shape inference: what can be known about tensors without running the framework.

Contract: :func:`infer_shapes` maps every value whose shape follows from the network and the given
input shapes; a value that is missing from the result is unknown, never guessed.  The rules are
Caffe's (``Layer::Reshape`` of BVLC Caffe).
"""

from __future__ import annotations

from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from amct_core.errors import ModelError
from amct_core.graph.attributes import (
    Concat,
    Convolution,
    Data,
    Flatten,
    InnerProduct,
    Input,
    Pooling,
    Reshape,
    Slice,
)
from amct_core.graph.graph import Graph, Node, Value

Shape = Tuple[int, ...]
Rule = Callable[[Node, Sequence[Shape]], List[Optional[Shape]]]


def known_shapes(graph: Graph) -> Mapping[Value, Shape]:
    """Return the shapes that follow from the network alone."""
    return infer_shapes(graph, {})


def infer_shapes(graph: Graph, data_shapes: Mapping[str, Shape]) -> Mapping[Value, Shape]:
    """Return the shape of every value that can be known.

    Args:
        graph: the network.
        data_shapes: shapes (batch size first) of data blobs by name; they take precedence over what
            a data layer's own parameters say.

    Raises:
        ModelError: a layer cannot take an input of the shape that reaches it.
    """
    shapes: Dict[Value, Shape] = {
        value: tuple(data_shapes[value.name]) for value in graph.inputs if value.name in data_shapes
    }
    for node in graph.nodes:
        for value, shape in zip(node.outputs, _output_shapes(graph, node, shapes, data_shapes)):
            if shape is not None:
                shapes[value] = shape
    return shapes


def pooled_size(size: int, kernel: int, stride: int, pad: int, ceil_mode: bool = True) -> int:
    """Return the output size of a pooling along one axis.

    Rounded up (or down, without ``ceil_mode``); with padding, a last window that would start
    outside of the padded input is dropped.
    """
    span = size + 2 * pad - kernel
    output = (-(-span // stride) if ceil_mode else span // stride) + 1
    if pad and (output - 1) * stride >= size + pad:
        output -= 1
    return output


def _output_shapes(
    graph: Graph,
    node: Node,
    shapes: Mapping[Value, Shape],
    data_shapes: Mapping[str, Shape],
) -> Sequence[Optional[Shape]]:
    attributes = node.attributes
    if isinstance(attributes, (Input, Data)):
        own = dict(zip(node.tops, attributes.shapes))
        return [data_shapes.get(top, own.get(top)) for top in node.tops]
    inputs = [shapes.get(value) for value in node.inputs]
    rule = _RULES.get(node.op)
    if rule is None or not inputs or inputs[0] is None:
        return [None] * len(node.outputs)
    if rule in (_concat, _flatten) and any(shape is None for shape in inputs):
        return [None] * len(node.outputs)
    found = rule(node, [shape if shape is not None else () for shape in inputs])
    for shape in found:
        if shape is not None and any(dim <= 0 for dim in shape):
            raise ModelError(
                f"its input {inputs[0]} is too small: its output would be {shape}.",
                file=graph.file,
                layer=node.name,
                remedy="Check the input size, and the kernel and stride of this layer.",
            )
    return found


def _same(node: Node, inputs: Sequence[Shape]) -> List[Optional[Shape]]:
    return [inputs[0]] * len(node.tops)


def _convolution(node: Node, inputs: Sequence[Shape]) -> List[Optional[Shape]]:
    a = node.attributes
    if not isinstance(a, Convolution) or len(inputs[0]) != 2 + len(a.kernel):
        return [None]
    spatial = tuple(
        (size + 2 * pad - (dilation * (kernel - 1) + 1)) // stride + 1
        for size, kernel, stride, pad, dilation in zip(
            inputs[0][2:], a.kernel, a.stride, a.pad, a.dilation
        )
    )
    return [(inputs[0][0], a.num_output, *spatial)] * len(node.tops)


def _deconvolution(node: Node, inputs: Sequence[Shape]) -> List[Optional[Shape]]:
    a = node.attributes
    if not isinstance(a, Convolution) or len(inputs[0]) != 2 + len(a.kernel):
        return [None]
    spatial = tuple(
        stride * (size - 1) + dilation * (kernel - 1) + 1 - 2 * pad
        for size, kernel, stride, pad, dilation in zip(
            inputs[0][2:], a.kernel, a.stride, a.pad, a.dilation
        )
    )
    return [(inputs[0][0], a.num_output, *spatial)] * len(node.tops)


def _inner_product(node: Node, inputs: Sequence[Shape]) -> List[Optional[Shape]]:
    a = node.attributes
    if not isinstance(a, InnerProduct):
        return [None]
    return [(*inputs[0][: _axis(a.axis, inputs[0])], a.num_output)]


def _pooling(node: Node, inputs: Sequence[Shape]) -> List[Optional[Shape]]:
    a = node.attributes
    if not isinstance(a, Pooling) or len(inputs[0]) != 4:
        return [None] * len(node.tops)
    batch, channels, height, width = inputs[0]
    if a.global_pooling or a.kernel is None:
        return [(batch, channels, 1, 1)] * len(node.tops)
    spatial = tuple(
        pooled_size(size, kernel, stride, pad, a.ceil_mode)
        for size, kernel, stride, pad in zip((height, width), a.kernel, a.stride, a.pad)
    )
    return [(batch, channels, *spatial)] * len(node.tops)


def _concat(node: Node, inputs: Sequence[Shape]) -> List[Optional[Shape]]:
    axis = _axis(node.attributes.axis if isinstance(node.attributes, Concat) else 1, inputs[0])
    joined = sum(shape[axis] for shape in inputs)
    return [(*inputs[0][:axis], joined, *inputs[0][axis + 1 :])]


def _slice(node: Node, inputs: Sequence[Shape]) -> List[Optional[Shape]]:
    a = node.attributes
    if not isinstance(a, Slice):
        return [None] * len(node.tops)
    axis = _axis(a.axis, inputs[0])
    size = inputs[0][axis]
    count = len(node.tops)
    points = a.points or tuple(size // count * i for i in range(1, count))
    edges = (0, *points, size)
    return [
        (*inputs[0][:axis], end - start, *inputs[0][axis + 1 :])
        for start, end in zip(edges, edges[1:])
    ]


def _flatten(node: Node, inputs: Sequence[Shape]) -> List[Optional[Shape]]:
    a = node.attributes if isinstance(node.attributes, Flatten) else Flatten()
    shape = inputs[0]
    start, end = _axis(a.axis, shape), _axis(a.end_axis, shape)
    return [(*shape[:start], _product(shape[start : end + 1]), *shape[end + 1 :])]


def _reshape(node: Node, inputs: Sequence[Shape]) -> List[Optional[Shape]]:
    a = node.attributes
    if not isinstance(a, Reshape):
        return [None]
    shape = inputs[0]
    start = a.axis if a.axis >= 0 else len(shape) + a.axis + 1
    end = len(shape) if a.num_axes == -1 else start + a.num_axes
    middle = [shape[start + i] if dim == 0 else dim for i, dim in enumerate(a.dims)]
    if -1 in middle:
        rest = _product([dim for dim in middle if dim != -1])
        middle[middle.index(-1)] = _product(shape[start:end]) // rest if rest else 0
    return [(*shape[:start], *middle, *shape[end:])]


def _axis(axis: int, shape: Shape) -> int:
    return axis if axis >= 0 else len(shape) + axis


def _product(dims: Sequence[int]) -> int:
    result = 1
    for dim in dims:
        result *= dim
    return result


_RULES: Dict[str, Rule] = {
    "Convolution": _convolution,
    "Deconvolution": _deconvolution,
    "InnerProduct": _inner_product,
    "Pooling": _pooling,
    "Concat": _concat,
    "Slice": _slice,
    "Flatten": _flatten,
    "Reshape": _reshape,
}
_RULES.update(
    dict.fromkeys(
        (
            "AbsVal",
            "BatchNorm",
            "Bias",
            "BNLL",
            "Clip",
            "DeQuant",
            "Dropout",
            "ELU",
            "Eltwise",
            "Exp",
            "Log",
            "LRN",
            "MVN",
            "PReLU",
            "Power",
            "Quant",
            "ReLU",
            "ReLU6",
            "Scale",
            "Sigmoid",
            "Softmax",
            "Split",
            "Swish",
            "TanH",
            "Threshold",
        ),
        _same,
    )
)
