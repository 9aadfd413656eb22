"""Normalisation layers.

Source: ``Forward_cpu`` of BVLC Caffe's batch_norm_layer, lrn_layer and mvn_layer.
"""

from __future__ import annotations

from typing import Any, List, Sequence, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_core.extensions import LayerSimulator
from amct_core.graph import Node
from amct_core.graph.attributes import LRN, MVN, BatchNorm

Array = NDArray[Any]


def batch_norm(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``(x - mean) / sqrt(variance + eps)`` with stored statistics, or the batch's own."""
    a = node.attributes if isinstance(node.attributes, BatchNorm) else BatchNorm()
    x = inputs[0]
    along = (1, -1) + (1,) * (x.ndim - 2)
    if has_stored_statistics(node):
        mean, variance = _stored_statistics(node)
        centered = x - mean.reshape(along)
    else:
        others = (0, *range(2, x.ndim))
        centered = x - _mean(x, others).reshape(along)
        variance = _mean(np.square(centered), others)
    deviation = np.sqrt(variance + np.float32(a.eps))
    return [centered / deviation.reshape(along)]


def has_stored_statistics(node: Node) -> bool:
    """Return whether a BatchNorm uses stored statistics, as it does by default in testing."""
    return not isinstance(node.attributes, BatchNorm) or (
        node.attributes.use_global_stats is not False
    )


def _stored_statistics(node: Node) -> Tuple[Array, Array]:
    mean, variance, factor = (np.asarray(blob, np.float32) for blob in node.weights)
    divisor = factor.reshape(-1)[0]
    common = np.float32(0) if divisor == 0 else np.float32(1) / divisor
    return mean * common, variance * common


def lrn(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``x`` divided by a power of the mean square around it.

    ``(k + alpha * mean) ** beta`` across channels, where the mean counts channels outside of the
    input as 0; ``(1 + alpha * mean) ** beta`` within a channel, where it is that of an AVE pooling.
    """
    a = node.attributes if isinstance(node.attributes, LRN) else LRN()
    x = inputs[0]
    squares = np.square(x.astype(np.float64))
    if a.region == "ACROSS_CHANNELS":
        means, k = _window_sums(squares, (1,), a.local_size) / a.local_size, a.k
    else:
        sums = _window_sums(squares, (2, 3), a.local_size)
        means, k = sums / _areas(x.shape[2:], a.local_size), 1.0
    return [(x * (k + a.alpha * means) ** -a.beta).astype(np.float32)]


def mvn(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``x - mean``, divided by ``sqrt(variance) + eps`` if that is asked for."""
    a = node.attributes if isinstance(node.attributes, MVN) else MVN()
    # Caffe's layer has four axes whatever it is given.
    x = inputs[0].reshape(inputs[0].shape + (1,) * (4 - inputs[0].ndim))
    axes = (1, 2, 3) if a.across_channels else (2, 3)
    centered = x - _mean(x, axes, keepdims=True)
    if not a.normalize_variance:
        return [centered]
    variance = _mean(np.square(centered), axes, keepdims=True)
    return [centered / (np.sqrt(variance) + np.float32(a.eps))]


def _mean(x: Array, axes: Tuple[int, ...], keepdims: bool = False) -> Array:
    return np.asarray(x.mean(axis=axes, dtype=np.float64, keepdims=keepdims).astype(np.float32))


def _window_sums(x: Array, axes: Tuple[int, ...], size: int) -> Array:
    """Return the sums over windows of ``size`` around each value, along each of ``axes``."""
    for axis in axes:
        width = [(0, 0)] * x.ndim
        width[axis] = (size // 2, size // 2)
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, width), size, axis=axis)
        x = windows.sum(axis=-1)
    return x


def _areas(sizes: Tuple[int, ...], window: int) -> Array:
    """Return how much of each window Caffe's AVE pooling counts: padding, but nothing beyond."""
    pad = window // 2
    extents = [
        np.minimum(np.arange(size) - pad + window, size + pad) - (np.arange(size) - pad)
        for size in sizes
    ]
    return np.asarray(np.multiply.outer(extents[0], extents[1]))


SIMULATORS = (
    LayerSimulator(layer_type="BatchNorm", run=batch_norm, exact=has_stored_statistics),
    LayerSimulator(layer_type="LRN", run=lrn, exact=False),
    LayerSimulator(layer_type="MVN", run=mvn, exact=False),
)
"""A BLAS orders the sums; LRN's powers are libm's."""
