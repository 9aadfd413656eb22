"""The channels of a layer with weights: how large their weights are, and how they are scaled.

Groups are numbered through: with ``group`` groups of a Convolution, input channel ``c`` of ``C``
meets only the output channels of group ``c // (C / group)``.
"""

from __future__ import annotations

from typing import Optional

import numpy as np
from numpy.typing import NDArray

from amct_core.graph import Node
from amct_core.graph.attributes import Convolution, InnerProduct

Weights = NDArray[np.float64]


def obstacle(node: Node) -> Optional[str]:
    """Return why the channels of ``node`` cannot be scaled, or None if they can."""
    axes, attributes = node.type.weights, node.attributes
    if axes is None or axes.input is None or not node.weights:
        return f"{node.op} has no weights with channels"
    if isinstance(attributes, Convolution):
        if attributes.axis != 1:
            return "its channels are not on axis 1"
        return "a grouped Deconvolution" if axes.output != 0 and attributes.group != 1 else None
    if isinstance(attributes, InnerProduct):
        plain = attributes.axis == 1 and not attributes.transpose
        return None if plain else "its channels are not on axis 1, or its weights are transposed"
    return f"the channels of {node.op} are not known"


def outputs(node: Node) -> int:
    """Return how many output channels ``node`` has."""
    assert node.type.weights is not None
    return int(node.weights[0].shape[node.type.weights.output])


def inputs(node: Node) -> int:
    """Return how many input channels ``node`` has; of an InnerProduct, how many values."""
    assert node.type.weights is not None and node.type.weights.input is not None
    return int(node.weights[0].shape[node.type.weights.input]) * _groups(node)


def output_ranges(node: Node, weights: Weights) -> Weights:
    """Return the largest magnitude of the weights of each output channel: float64 ``[O]``."""
    return _largest(_by_output(node, weights))


def input_ranges(node: Node, weights: Weights, channels: int) -> Weights:
    """Return the largest magnitude of the weights of each input channel: float64 ``[channels]``.

    ``channels`` divides :func:`inputs`: an InnerProduct that reads feature maps has several values
    of each, side by side.
    """
    return _largest(_by_input(node, weights, channels))


def scale_outputs(node: Node, weights: Weights, factors: Weights) -> None:
    """Multiply the weights of each output channel by its factor, in place."""
    view = _by_output(node, weights)
    view *= factors.reshape((-1,) + (1,) * (view.ndim - 1))


def scale_inputs(node: Node, weights: Weights, factors: Weights) -> None:
    """Multiply the weights of each input channel by its factor, in place."""
    groups = _groups(node)
    view = _by_input_grouped(node, weights, len(factors))
    view *= factors.reshape((groups, len(factors) // groups) + (1,) * (view.ndim - 2))


def _groups(node: Node) -> int:
    return node.attributes.group if isinstance(node.attributes, Convolution) else 1


def _by_output(node: Node, weights: Weights) -> Weights:
    assert node.type.weights is not None
    return np.moveaxis(weights, node.type.weights.output, 0)


def _by_input_grouped(node: Node, weights: Weights, channels: int) -> Weights:
    """Return a view (groups, channels of a group, ...)."""
    axes, groups = node.type.weights, _groups(node)
    assert axes is not None
    if axes.output != 0:  # a Deconvolution: (inputs, outputs, ...), one group
        return weights[np.newaxis]
    outputs_of_group = weights.shape[0] // groups
    each = channels // groups
    split = weights.reshape((groups, outputs_of_group, each, -1))
    return np.moveaxis(split, 2, 1)


def _by_input(node: Node, weights: Weights, channels: int) -> Weights:
    view = _by_input_grouped(node, weights, channels)
    return view.reshape((channels, *view.shape[2:]))


def _largest(by_channel: Weights) -> Weights:
    flat = np.abs(by_channel).reshape(len(by_channel), -1)
    return np.asarray(flat.max(axis=1, initial=0.0))
