"""The integers of the saved model, recomputed from its own blobs.

In the plainest way there is: one multiplication of Python-like integers (int64) per tap of the
kernel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from amct_core.graph import Node
from amct_core.graph.attributes import Convolution, InnerProduct, Pooling, Quant
from amct_core.graph.shapes import infer_shapes
from tests.conformance.runner import Saved


def accumulators_are_those_of_plain_loops(saved: Saved) -> None:
    simulator, blobs = saved.reference, saved.blobs
    nodes = [layer.node for layer in simulator.quantized_layers]
    assert tuple(node.name for node in nodes) == saved.inserted.expected
    for node in nodes:
        quant = simulator.graph.producer(node.inputs[0])
        assert quant is not None and isinstance(quant.attributes, Quant)
        centered = blobs[node.bottoms[0]].astype(np.int64) - quant.attributes.offset
        expected = accumulate(node, centered)
        np.testing.assert_array_equal(blobs[node.tops[0]], expected, node.name)


def outputs_are_finite_and_of_the_inferred_shapes(saved: Saved) -> None:
    simulator, blobs = saved.reference, saved.blobs
    shapes = infer_shapes(simulator.graph, {})
    for blob in simulator.outputs:
        assert np.isfinite(blobs[blob]).all()
        assert shapes[simulator.graph.final_value(blob)] == blobs[blob].shape


def accumulate(node: Node, x: np.ndarray) -> np.ndarray:
    """Return the accumulators of an integer layer, bias included, int64."""
    a: Any = node.attributes
    if isinstance(a, Pooling):
        return _sums(a, x)
    weights = node.weights[0].astype(np.int64)
    if isinstance(a, InnerProduct):
        result = x.reshape(len(x), -1) @ weights.T
    elif node.op == "Deconvolution":
        result = _deconvolution(a, weights, x)
    else:
        assert isinstance(a, Convolution)
        result = _convolution(a, weights, x)
    if len(node.weights) > 1:
        bias = node.weights[1].astype(np.int64)
        result = result + bias.reshape((1, -1) + (1,) * (result.ndim - 2))
    return result


def _convolution(a: Convolution, weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    x = np.pad(x, ((0, 0), (0, 0), (a.pad[0],) * 2, (a.pad[1],) * 2))
    height, width = (
        (size - dilation * (kernel - 1) - 1) // stride + 1
        for size, kernel, stride, dilation in zip(x.shape[2:], a.kernel, a.stride, a.dilation)
    )
    result = np.zeros((len(x), len(weights), height, width), np.int64)
    inputs, outputs = x.shape[1] // a.group, len(weights) // a.group
    for output in range(len(weights)):
        first = output // outputs * inputs
        for channel, i, j in np.ndindex(*weights.shape[1:]):
            top, left = i * a.dilation[0], j * a.dilation[1]
            met = x[:, first + channel, top:, left:][:, :: a.stride[0], :: a.stride[1]]
            result[:, output] += weights[output, channel, i, j] * met[:, :height, :width]
    return result


def _deconvolution(a: Convolution, weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    height, width = (
        stride * (size - 1) + kernel
        for size, kernel, stride in zip(x.shape[2:], a.kernel, a.stride)
    )
    result = np.zeros((len(x), weights.shape[1], height, width), np.int64)
    for row, column in np.ndindex(*x.shape[2:]):
        top, left = row * a.stride[0], column * a.stride[1]
        met = result[:, :, top : top + a.kernel[0], left : left + a.kernel[1]]
        met += np.tensordot(x[:, :, row, column], weights, axes=1)
    return result[:, :, a.pad[0] : height - a.pad[0], a.pad[1] : width - a.pad[1]]


def _sums(a: Pooling, x: np.ndarray) -> np.ndarray:
    """Return the sums over the windows; what lies in the padding counts as zero."""
    assert a.kernel is not None
    outs = []
    for size, kernel, stride, pad in zip(x.shape[2:], a.kernel, a.stride, a.pad):
        span = size + 2 * pad - kernel
        out = (-(-span // stride) if a.ceil_mode else span // stride) + 1
        if any(a.pad) and (out - 1) * stride >= size + pad:
            out -= 1
        outs.append(out)
    result = np.zeros((*x.shape[:2], *outs), np.int64)
    for row, column in np.ndindex(*outs):
        top, left = row * a.stride[0] - a.pad[0], column * a.stride[1] - a.pad[1]
        rows = slice(max(top, 0), max(top + a.kernel[0], 0))
        columns = slice(max(left, 0), max(left + a.kernel[1], 0))
        result[:, :, row, column] = x[:, :, rows, columns].sum(axis=(2, 3))
    return result
