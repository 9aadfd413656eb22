"""Checks the shapes of network inputs against what the network tells of them."""

from __future__ import annotations

import math
from typing import Dict, Mapping, Optional

from amct_core.errors import ConfigError, ModelError
from amct_core.extensions.layer_type import Shape
from amct_core.graph.attributes import Convolution, Data, InnerProduct, Input
from amct_core.graph.graph import Graph, Node, Value
from amct_core.graph.shapes import infer_shapes

_REMEDY = "Correct --input-shape, or input_shapes of the config."


def shape_source(graph: Graph, value: Value) -> Value:
    """Return the first tensor upstream of ``value`` from which on layers keep the shape."""
    while True:
        node = graph.producer(value)
        if node is None or not node.inputs or not node.type.keeps_shape:
            return value
        value = node.inputs[0]


def check_given_shapes(graph: Graph, given: Mapping[str, Shape], file: Optional[str]) -> None:
    """Check shapes that a user gives for inputs of ``graph``.

    Args:
        graph: the network in testing, with its weights.
        given: shapes by blob, batch size first; the batch size is the user's choice.
        file: the config, for messages.

    Raises:
        ConfigError: the network has no such input, or its layer says another shape.
    """
    own = _own_shapes(graph)
    for blob, shape in given.items():
        if blob not in own:
            raise ConfigError(
                f"it gives a shape for '{blob}', which is no input of '{graph.file}'; "
                f"its inputs are {', '.join(own) or 'none'}.",
                file=file,
                field="input_shapes",
                remedy=_REMEDY,
            )
        known, producer = own[blob], graph.producer(Value(blob))
        if known is not None and known[1:] != shape[1:]:
            layer = producer.name if producer is not None else None
            raise ConfigError(
                f"it says that '{blob}' is {_text(shape)}; layer '{layer}' of '{graph.file}' says "
                f"{_text(known)}. Only the batch size, the first one, may differ.",
                file=file,
                field="input_shapes",
                remedy=f"{_REMEDY[:-1]}, or the layer.",
            )


def _own_shapes(graph: Graph) -> Dict[str, Optional[Shape]]:
    """Return the blobs that layers bring in, and what these say of their shapes."""
    own: Dict[str, Optional[Shape]] = {value.name: None for value in graph.inputs}
    for node in graph.nodes:
        if isinstance(node.attributes, (Input, Data)):
            shapes = dict(zip(node.tops, node.attributes.shapes))
            own.update({top: shapes.get(top) for top in node.tops})
    return own


def check_weights_fit(graph: Graph, shapes: Mapping[str, Shape]) -> None:
    """Check that each layer's weights fit the input that it gets from inputs of ``shapes``.

    Raises:
        ModelError: naming the layer, its input and what its weights are for; or that a layer cannot
            take an input of the shape that reaches it.
    """
    inferred = infer_shapes(graph, shapes)
    for node in graph.nodes:
        if not node.inputs or not node.weights:
            continue
        shape = inferred.get(node.inputs[0])
        wanted = _wanted(node, shape) if shape is not None else None
        if wanted is not None:
            raise ModelError(
                f"its input '{node.inputs[0].name}' is {_text(shape or ())}, where the inputs of "
                f"the network are {_described(graph, shapes)}; its weights of shape "
                f"{_text(node.weights[0].shape)} are for {wanted}.",
                file=graph.file,
                layer=node.name,
                remedy="Correct the shape of the input (--input-shape, input_shapes of the "
                "config, or its layer), or give the weights of this network.",
            )


def _wanted(node: Node, shape: Shape) -> Optional[str]:
    """Return what the weights of ``node`` are for, if that is not ``shape``."""
    a, weights = node.attributes, node.weights[0]
    if isinstance(a, InnerProduct):
        count = weights.shape[0 if a.transpose else 1]
        axis = a.axis if a.axis >= 0 else len(shape) + a.axis
        return None if math.prod(shape[axis:]) == count else f"{count} values from axis {axis} on"
    channels = _channels(node)
    if channels is None or not isinstance(a, Convolution):
        return None
    axis = a.axis if a.axis >= 0 else len(shape) + a.axis
    axes = axis + weights.ndim - 1
    if len(shape) != axes:
        return f"an input of {axes} axes"
    return None if shape[axis] == channels else f"{channels} channels"


def channels_of_weights(node: Node) -> Optional[int]:
    """Return how many channels the weights of a convolution are for; None for another layer."""
    a = node.attributes
    return _channels(node) if isinstance(a, Convolution) and a.axis == 1 else None


def _channels(node: Node) -> Optional[int]:
    """Return the same for a convolution along any axis."""
    a, axes = node.attributes, node.type.weights
    if not isinstance(a, Convolution) or axes is None or axes.input is None:
        return None
    if not node.weights or node.weights[0].ndim < 2:
        return None
    count: int = node.weights[0].shape[axes.input]
    return count * a.group if axes.input == 1 else count


def _described(graph: Graph, shapes: Mapping[str, Shape]) -> str:
    known = {blob: shape for blob, shape in _own_shapes(graph).items() if shape is not None}
    every = {**known, **{blob: tuple(shape) for blob, shape in shapes.items()}}
    return ", ".join(f"'{blob}' {_text(shape)}" for blob, shape in every.items())


def _text(shape: Shape) -> str:
    return " x ".join(map(str, shape)) or "a single number"
