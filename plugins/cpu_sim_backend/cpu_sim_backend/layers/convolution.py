"""Convolution and Deconvolution, in integers and in float32.

Both are written as Caffe writes them: a matrix product with the unfolded input (im2col), or the
folding of a matrix product (col2im).  Padding is zero, which in integers means ``q - offset = 0``.
"""

from __future__ import annotations

import math
from typing import Any, Iterable, List, Sequence, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_core.extensions import LayerSimulator
from amct_core.graph import Node
from amct_core.graph.attributes import Convolution
from cpu_sim_backend.layers.products import add_bias, matmul

Array = NDArray[Any]


def unfold(x: Array, a: Convolution) -> Tuple[Array, Tuple[int, ...]]:
    """Return the windows of ``x`` (N, C, *size) as (N, C * kernel, positions), and the output size.

    Any number of spatial axes; two for an image.
    """
    batch, channels = x.shape[:2]
    padded = np.pad(x, ((0, 0), (0, 0), *((pad, pad) for pad in a.pad)))
    out = tuple(
        (size - (dilation * (kernel - 1) + 1)) // stride + 1
        for size, kernel, stride, dilation in zip(padded.shape[2:], a.kernel, a.stride, a.dilation)
    )
    windows = np.empty((batch, channels, *a.kernel, *out), x.dtype)
    for tap in np.ndindex(*a.kernel):
        windows[_at(tap)] = padded[_taps(a, tap, out)]
    return windows.reshape(batch, channels * math.prod(a.kernel), math.prod(out)), out


def _taps(a: Convolution, tap: Tuple[int, ...], out: Sequence[int]) -> Tuple[Any, ...]:
    """Return which part of the padded input one tap of the kernel meets, all channels of it."""
    return _at(
        slice(i * dilation, i * dilation + (size - 1) * stride + 1, stride)
        for i, dilation, stride, size in zip(tap, a.dilation, a.stride, out)
    )


def _at(places: Iterable[Any]) -> Tuple[Any, ...]:
    """Return an index: all samples, all channels, and ``places`` of the axes behind them."""
    return (slice(None), slice(None), *places)


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
    batch, channels, *size = x.shape
    inputs, outputs = channels // a.group, weights.shape[1]
    parts: List[Array] = []
    for g in range(a.group):
        part = weights[g * inputs : (g + 1) * inputs].reshape(inputs, -1)
        flat = x[:, g * inputs : (g + 1) * inputs].reshape(batch, inputs, -1)
        columns = matmul(np.ascontiguousarray(part.T), flat)
        parts.append(_fold(columns.reshape(batch, outputs, *a.kernel, *size), a))
    result = np.concatenate(parts, axis=1)
    return add_bias(result, node.weights[1]) if len(node.weights) > 1 else result


def _fold(columns: Array, a: Convolution) -> Array:
    """Add the windows (N, C, *kernel, *size) up where they overlap, and cut the padding off."""
    batch, channels = columns.shape[:2]
    size = columns.shape[2 + len(a.kernel) :]
    full = [
        stride * (n - 1) + dilation * (kernel - 1) + 1
        for n, stride, dilation, kernel in zip(size, a.stride, a.dilation, a.kernel)
    ]
    result = np.zeros((batch, channels, *full), columns.dtype)
    for tap in np.ndindex(*a.kernel):
        result[_taps(a, tap, size)] += columns[_at(tap)]
    cut: Array = result[_at(slice(pad, total - pad) for pad, total in zip(a.pad, full))]
    return cut


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
