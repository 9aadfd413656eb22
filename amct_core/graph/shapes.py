"""Shape inference: what can be known about tensors without running the framework.

Contract: :func:`infer_shapes` maps every value whose shape follows from the network and the given
input shapes; a value that is missing from the result is unknown, never guessed.  The rules are
those of the layer types (:attr:`amct_core.extensions.LayerType.shape`).
"""

from __future__ import annotations

import math
from typing import Dict, List, Mapping, Optional, Sequence

from amct_core.contracts.usage import Usage
from amct_core.errors import ModelError
from amct_core.extensions.layer_type import Shape
from amct_core.graph.attributes import Data, Input
from amct_core.graph.graph import Graph, Node, Value

_MAX_ELEMENTS = 2**31 - 1  # Caffe counts them in an int: "blob size exceeds INT_MAX"

__all__ = ["Shape", "infer_shapes", "known_shapes", "shapes_of_inputs"]


def shapes_of_inputs(graph: Graph) -> Dict[str, Shape]:
    """Return the input blobs and the shapes that the Input layers give them."""
    return {
        top: shape
        for node in graph.nodes
        if isinstance(node.attributes, Input)
        for top, shape in zip(node.tops, node.attributes.shapes)
    }


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
    inputs = _input_shapes(node, shapes)
    if inputs is None or node.type.shape is None:
        return [None] * len(node.outputs)
    every = [shapes[value] for value in node.inputs if value in shapes]
    usage = Usage(node.type, node.name)
    try:
        with usage.running("shape", tells_itself=True):
            found = node.type.shape(node, inputs)
        if node.type.check_inputs is not None and len(every) == len(node.inputs):
            with usage.running("check_inputs", tells_itself=True):
                node.type.check_inputs(node, every)
    except ModelError as error:
        raise error.at(file=graph.file, layer=node.name) from None
    if len(found) != len(node.outputs):
        raise ModelError(
            f"it has {len(node.outputs)} outputs; its parameters are for {len(found)}.",
            file=graph.file,
            layer=node.name,
            remedy="Correct the layer.",
        )
    for shape in found:
        if shape is not None and any(dim <= 0 for dim in shape):
            raise ModelError(
                f"its input {inputs[0]} is too small: its output would be {shape}.",
                file=graph.file,
                layer=node.name,
                remedy="Check the input size, and the kernel and stride of this layer.",
            )
        if shape is not None and math.prod(shape) > _MAX_ELEMENTS:
            raise ModelError(
                f"its output would be {shape}; expected at most {_MAX_ELEMENTS} numbers.",
                file=graph.file,
                layer=node.name,
                remedy="Check the sizes that this layer declares, and the batch size.",
            )
    return found


def _input_shapes(node: Node, shapes: Mapping[Value, Shape]) -> Optional[List[Shape]]:
    """Return the shapes of the inputs that ``node``'s rule looks at; None if one is unknown."""
    needed = node.inputs if node.type.needs_every_shape else node.inputs[:1]
    found = [shapes.get(value) for value in needed]
    known = [shape for shape in found if shape is not None]
    return known if known and len(known) == len(found) else None
