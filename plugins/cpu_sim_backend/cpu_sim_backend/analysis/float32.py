"""Float layers with products in float32, for the analysis.

The simulator multiplies in float64 and rounds once, so that what it proves does not depend on a
BLAS; that takes three times as long as Caffe.  To say how far int8 is from float, sums in float32
are as good: they differ by 1e-6 of the largest magnitude, an SNR of 110 decibels or more, where
int8 has 20 to 50.
"""

from __future__ import annotations

from typing import Any, List, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.graph import Graph, Node
from amct_core.graph.attributes import Convolution, InnerProduct
from amct_core.numerics.windows import convolved_size

Array = NDArray[Any]


def in_float32(graph: Graph) -> Graph:
    """Return ``graph`` with convolutions and inner products that multiply in float32.

    Those of shapes that are seldom (three spatial axes, another channel axis) stay as they are.
    """
    return graph.replace(_quick(node) for node in graph.nodes)


def _quick(node: Node) -> Node:
    a, axes = node.attributes, node.type.weights
    if axes is None or not node.weights or len(node.inputs) != 1:
        return node
    if isinstance(a, Convolution) and len(a.kernel) == 2 and a.axis == 1 and axes.output == 0:
        return attrs.evolve(node, type=attrs.evolve(node.type, run=_convolution))
    if isinstance(a, InnerProduct) and a.axis == 1 and not a.transpose:
        return attrs.evolve(node, type=attrs.evolve(node.type, run=_inner_product))
    return node


def _inner_product(node: Node, inputs: Sequence[Array]) -> List[Array]:
    x, weights = inputs[0], node.weights[0]
    result = x.reshape(len(x), -1) @ weights.reshape(-1, weights.shape[-1]).T
    return [result + node.weights[1].reshape(-1) if len(node.weights) > 1 else result]


def _convolution(node: Node, inputs: Sequence[Array]) -> List[Array]:
    x, a, weights = inputs[0], node.typed(Convolution), node.weights[0]
    height, width = map(convolved_size, x.shape[2:], a.kernel, a.stride, a.pad, a.dilation)
    result = np.empty((len(x), len(weights), height, width), np.float32)
    for sample, out in zip(x, result):
        _convolve(sample, weights, a, out)
    if len(node.weights) > 1:
        result += node.weights[1].reshape(1, -1, 1, 1)
    return [result]


def _convolve(x: Array, weights: Array, a: Convolution, out: Array) -> None:
    """Write the convolution of one sample, without bias."""
    if weights.shape[1] == 1 and a.group == len(x) > 1:
        _depthwise(x, weights, a, out)
        return
    columns = _columns(x, a, out.shape[1:])
    outputs, depth = len(weights) // a.group, len(columns) // a.group
    rows = weights.reshape(len(weights), -1)
    flat = out.reshape(len(out), -1)
    for group in range(a.group):
        own = slice(group * outputs, (group + 1) * outputs)
        np.matmul(rows[own], columns[group * depth : (group + 1) * depth], out=flat[own])


def _columns(x: Array, a: Convolution, size: Sequence[int]) -> Array:
    """Return what each position of the output reads, (channels * kernel, positions)."""
    height, width = size
    if tuple(a.kernel) == (1, 1) and not any(a.pad) and tuple(a.stride) == (1, 1):
        return x.reshape(len(x), -1)
    padded = np.pad(x, ((0, 0), (a.pad[0],) * 2, (a.pad[1],) * 2))
    columns = np.empty((len(x), *a.kernel, height, width), np.float32)
    for row, column in np.ndindex(*a.kernel):
        columns[:, row, column] = _tap(padded, a, row, column, size)
    return columns.reshape(-1, height * width)


def _tap(padded: Array, a: Convolution, row: int, column: int, size: Sequence[int]) -> Array:
    """Return the part of the padded input that one tap of the kernel meets."""
    y, x = row * a.dilation[0], column * a.dilation[1]
    (down, right), (height, width) = a.stride, size
    tap: Array = padded[
        :, y : y + (height - 1) * down + 1 : down, x : x + (width - 1) * right + 1 : right
    ]
    return tap


def _depthwise(x: Array, weights: Array, a: Convolution, out: Array) -> None:
    padded = np.pad(x, ((0, 0), (a.pad[0],) * 2, (a.pad[1],) * 2))
    multiples = len(weights) // len(x)
    if multiples > 1:
        padded = np.repeat(padded, multiples, axis=0)
    out[...] = 0
    for row, column in np.ndindex(*a.kernel):
        out += _tap(padded, a, row, column, out.shape[1:]) * weights[:, 0, row, column, None, None]
