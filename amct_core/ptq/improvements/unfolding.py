"""A layer with weights as a product of matrices: rows of weights by columns of its input.

With ``G`` groups, each has ``M`` outputs and ``K`` inputs (channels of the group by places of the
kernel), and there is a column for each place of the output: ``[G, M, K] x [G, K, N]``.
"""

from __future__ import annotations

from typing import Any, Optional, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_core.graph import Node
from amct_core.graph.attributes import Convolution, InnerProduct

Array = NDArray[Any]


def obstacle(node: Node) -> Optional[str]:
    """Return why ``node`` is no such product, or None if it is one."""
    axes, attributes = node.type.weights, node.attributes
    if axes is None or not node.weights:
        return f"{node.op} has no weights"
    if not isinstance(attributes, (Convolution, InnerProduct)) or attributes.axis != 1:
        return f"how one of {node.op} acts on axis 1 is not known"
    transposed = isinstance(attributes, InnerProduct) and attributes.transpose
    if axes.output != 0 or transposed:
        return f"its weights are not one row for each output ({node.op})"
    return None


def rows(node: Node, weights: Array) -> Array:
    """Return ``weights``, of the shape of those of ``node``, as ``[G, M, K]``."""
    groups = _groups(node)
    return weights.reshape(groups, weights.shape[0] // groups, -1)


def row_scales(node: Node, scale_w: Array) -> Array:
    """Return one scale per output, or one for all, as ``[G, M, 1]``."""
    groups, outputs = _groups(node), node.weights[0].shape[0]
    return np.broadcast_to(scale_w, (outputs,)).reshape(groups, outputs // groups, 1)


def columns(node: Node, x: Array) -> Array:
    """Return what ``node`` reads, ``[batch, C, ...]``, as ``[G, K, N]``; padding is 0."""
    attributes = node.attributes
    if not isinstance(attributes, Convolution):
        return x.reshape(len(x), -1).T[np.newaxis]
    windows = _windows(attributes, x)  # batch, C, places of the output ..., of the kernel ...
    axes = len(attributes.kernel)
    batch, channels = windows.shape[:2]
    groups = attributes.group
    split = windows.reshape(batch, groups, channels // groups, *windows.shape[2:])
    places = tuple(range(3, 3 + axes))
    kernel = tuple(range(3 + axes, 3 + 2 * axes))
    ordered = split.transpose(1, 2, *kernel, 0, *places)
    count = channels // groups * int(np.prod(attributes.kernel))
    return ordered.reshape(groups, count, -1)


def _groups(node: Node) -> int:
    return node.attributes.group if isinstance(node.attributes, Convolution) else 1


def _windows(a: Convolution, x: Array) -> Array:
    """Return a view of padded ``x``: the windows that the kernel sees, strided and dilated."""
    padded = np.pad(x, ((0, 0), (0, 0), *((pad, pad) for pad in a.pad)))
    spans = tuple(d * (k - 1) + 1 for d, k in zip(a.dilation, a.kernel))
    axes: Any = tuple(range(2, 2 + len(a.kernel)))  # NumPy's types know one axis only
    windows: Array = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=axes)
    taken: Tuple[slice, ...] = (
        slice(None),
        slice(None),
        *(slice(None, None, stride) for stride in a.stride),
        *(slice(None, None, dilation) for dilation in a.dilation),
    )
    seen: Array = windows[taken]
    return seen
