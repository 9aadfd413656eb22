"""Convolution and Deconvolution, in integers and in float32.

Both are written as Caffe writes them: a matrix product with the unfolded input (im2col), or the
folding of a matrix product (col2im).  Padding is zero, which in integers means ``q - offset = 0``.
"""

from __future__ import annotations

from typing import Any, List, Sequence, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_core.extensions import LayerSimulator
from amct_core.graph import Node
from amct_core.graph.attributes import Convolution
from cpu_sim_backend.layers.products import add_bias, matmul

Array = NDArray[Any]


def unfold(x: Array, a: Convolution) -> Tuple[Array, Tuple[int, int]]:
    """Return the windows of ``x`` (N, C, H, W) as (N, C * kh * kw, OH * OW), and (OH, OW)."""
    batch, channels = x.shape[:2]
    padded = np.pad(x, ((0, 0), (0, 0), (a.pad[0], a.pad[0]), (a.pad[1], a.pad[1])))
    out = tuple(
        (size - (dilation * (kernel - 1) + 1)) // stride + 1
        for size, kernel, stride, dilation in zip(padded.shape[2:], a.kernel, a.stride, a.dilation)
    )
    windows = np.empty((batch, channels, *a.kernel, *out), x.dtype)
    for row, column in np.ndindex(*a.kernel):
        down, across = _taps(a, (row, column), out)
        windows[:, :, row, column] = padded[:, :, down, across]
    return windows.reshape(batch, -1, out[0] * out[1]), (out[0], out[1])


def _taps(a: Convolution, tap: Tuple[int, ...], out: Sequence[int]) -> Tuple[slice, slice]:
    """Return which rows and columns of the padded input one tap of the kernel meets."""
    rows, columns = (
        slice(i * dilation, i * dilation + (size - 1) * stride + 1, stride)
        for i, dilation, stride, size in zip(tap, a.dilation, a.stride, out)
    )
    return rows, columns


def convolve(node: Node, x: Array) -> Array:
    """Return the convolution of ``x`` with ``node.weights`` and its bias, if it has one."""
    a = node.attributes
    assert isinstance(a, Convolution)
    weights = node.weights[0]
    columns, out = unfold(x, a)
    outputs = weights.shape[0] // a.group
    depth = columns.shape[1] // a.group
    parts = [
        matmul(
            weights[g * outputs : (g + 1) * outputs].reshape(outputs, -1),
            columns[:, g * depth : (g + 1) * depth],
        )
        for g in range(a.group)
    ]
    result = np.concatenate(parts, axis=1).reshape(x.shape[0], -1, *out)
    return add_bias(result, node.weights[1]) if len(node.weights) > 1 else result


def deconvolve(node: Node, x: Array) -> Array:
    """Return the transposed convolution of ``x`` with ``node.weights`` and its bias."""
    a = node.attributes
    assert isinstance(a, Convolution)
    weights = node.weights[0]
    batch, channels, height, width = x.shape
    inputs, outputs = channels // a.group, weights.shape[1]
    parts: List[Array] = []
    for g in range(a.group):
        part = weights[g * inputs : (g + 1) * inputs].reshape(inputs, -1)
        flat = x[:, g * inputs : (g + 1) * inputs].reshape(batch, inputs, -1)
        columns = matmul(np.ascontiguousarray(part.T), flat)
        parts.append(_fold(columns.reshape(batch, outputs, *a.kernel, height, width), a))
    result = np.concatenate(parts, axis=1)
    return add_bias(result, node.weights[1]) if len(node.weights) > 1 else result


def _fold(columns: Array, a: Convolution) -> Array:
    """Add the windows (N, C, kh, kw, H, W) up where they overlap, and cut the padding off."""
    batch, channels, _, _, *size = columns.shape
    full = [
        stride * (n - 1) + dilation * (kernel - 1) + 1
        for n, stride, dilation, kernel in zip(size, a.stride, a.dilation, a.kernel)
    ]
    result = np.zeros((batch, channels, *full), columns.dtype)
    for row, column in np.ndindex(*a.kernel):
        rows, across = _taps(a, (row, column), size)
        result[:, :, rows, across] += columns[:, :, row, column]
    return result[:, :, a.pad[0] : full[0] - a.pad[0], a.pad[1] : full[1] - a.pad[1]]


SIMULATORS = (
    LayerSimulator(
        layer_type="Convolution",
        run=lambda node, inputs: [convolve(node, x) for x in inputs],
        accumulate=convolve,
        exact=False,
    ),
    LayerSimulator(
        layer_type="Deconvolution",
        run=lambda node, inputs: [deconvolve(node, x) for x in inputs],
        accumulate=deconvolve,
        exact=False,
    ),
)
"""Float results depend on the order in which a BLAS adds; integers do not."""
