"""Shapes of layers that slide windows over an image, and of InnerProduct.

Sources: ``compute_output_shape`` of BVLC Caffe's conv_layer and deconv_layer; ``Reshape`` of its
pooling_layer and inner_product_layer.
"""

from __future__ import annotations

from typing import Optional, Tuple

import attrs

from amct_core.graph.attributes import Convolution, InnerProduct, Pair, Pooling
from amct_core.graph.graph import Node
from amct_core.graph.shape_rules.rule import Outputs, Shape, Shapes, canonical_axis, unknown


def pooled_size(size: int, kernel: int, stride: int, padding: Pair, ceil_mode: bool = True) -> int:
    """Return the output size of a pooling along one axis.

    Rounded up (or down, without ``ceil_mode``).  If there is padding along this axis or the other
    one, a last window that would start behind the input and the padding before it is dropped.

    Args:
        size: of the input.
        kernel: along this axis.
        stride: along this axis.
        padding: along this axis, and along the other one.
        ceil_mode: whether to round up.
    """
    pad = padding[0]
    span = size + 2 * pad - kernel
    output = (-(-span // stride) if ceil_mode else span // stride) + 1
    if any(padding) and (output - 1) * stride >= size + pad:
        output -= 1
    return output


def convolution(node: Node, inputs: Shapes) -> Outputs:
    """Return (..., num_output, sizes rounded down)."""
    split = _split(node, inputs[0])
    if split is None:
        return unknown(node)
    a, leading, sizes = split
    spatial = tuple(
        (size + 2 * pad - (dilation * (kernel - 1) + 1)) // stride + 1
        for size, kernel, stride, pad, dilation in zip(sizes, a.kernel, a.stride, a.pad, a.dilation)
    )
    return [(*leading, a.num_output, *spatial)] * len(node.tops)


def deconvolution(node: Node, inputs: Shapes) -> Outputs:
    """Return (..., num_output, the sizes whose convolution has the input's)."""
    split = _split(node, inputs[0])
    if split is None:
        return unknown(node)
    a, leading, sizes = split
    spatial = tuple(
        stride * (size - 1) + dilation * (kernel - 1) + 1 - 2 * pad
        for size, kernel, stride, pad, dilation in zip(sizes, a.kernel, a.stride, a.pad, a.dilation)
    )
    return [(*leading, a.num_output, *spatial)] * len(node.tops)


def _split(node: Node, shape: Shape) -> Optional[Tuple[Convolution, Shape, Shape]]:
    """Return the attributes, and the shape before and after the channel axis."""
    a = node.attributes
    if not isinstance(a, Convolution):
        return None
    axis = canonical_axis(node, a.axis, shape)
    sizes = shape[axis + 1 :]
    if len(a.kernel) != len(sizes):
        lists = (a.kernel, a.stride, a.pad, a.dilation)
        if any(len(set(values)) != 1 for values in lists):
            return None
        # One value stands for as many axes as there are, which only the input tells.
        kernel, stride, pad, dilation = (values[:1] * len(sizes) for values in lists)
        a = attrs.evolve(a, kernel=kernel, stride=stride, pad=pad, dilation=dilation)
    return a, shape[:axis], sizes


def inner_product(node: Node, inputs: Shapes) -> Outputs:
    """Return the axes before ``axis``, and ``num_output``."""
    a = node.attributes
    if not isinstance(a, InnerProduct):
        return unknown(node)
    return [(*inputs[0][: canonical_axis(node, a.axis, inputs[0])], a.num_output)]


def pooling(node: Node, inputs: Shapes) -> Outputs:
    """Return the pooled sizes; 1 x 1 for global pooling."""
    a = node.attributes
    if not isinstance(a, Pooling) or len(inputs[0]) != 4:
        return unknown(node)
    batch, channels, height, width = inputs[0]
    if a.global_pooling or a.kernel is None:
        return [(batch, channels, 1, 1)] * len(node.tops)
    down, across = a.pad
    rows = pooled_size(height, a.kernel[0], a.stride[0], (down, across), a.ceil_mode)
    columns = pooled_size(width, a.kernel[1], a.stride[1], (across, down), a.ceil_mode)
    return [(batch, channels, rows, columns)] * len(node.tops)
