"""Which layers of a deployable network can be simulated."""

from __future__ import annotations

from typing import FrozenSet, List, Mapping, Optional

import numpy as np

from amct_core.errors import ModelError
from amct_core.extensions.layer_type import Shape
from amct_core.graph import Graph, Node, Value
from amct_core.graph.attributes import Data, DeQuant, Input, Quant
from amct_core.graph.deployed_layers import quantized_nodes
from amct_core.graph.shapes import known_shapes
from amct_core.plugins import registries
from cpu_sim_backend.feeding import Fed

_LARGEST = float(np.finfo(np.float32).max)
_BY_THEMSELVES = (Input, Quant, DeQuant, Fed)


def unknown_float_layers(graph: Graph) -> FrozenSet[Node]:
    """Return the float layers that cannot be simulated."""
    integer = quantized_nodes(graph)
    return frozenset(
        node
        for node in graph.nodes
        if node not in integer
        and not isinstance(node.attributes, _BY_THEMSELVES)
        and (node.type.run is None or _reason(node) is not None)
    )


def check_simulatable(graph: Graph) -> None:
    """Check that each layer can be simulated.

    Raises:
        ModelError: one cannot, has no weights, or cannot take its input's shape; the message names
            it.
    """
    shapes = known_shapes(graph)  # raises where a layer cannot take its input
    integer = quantized_nodes(graph)
    for node in graph.nodes:
        if not isinstance(node.attributes, _BY_THEMSELVES):
            _check(graph, node, node in integer)
        _check_input(graph, node, shapes)


def _check_input(graph: Graph, node: Node, shapes: Mapping[Value, Shape]) -> None:
    """Check a layer whose outputs have no shape, and the factors of Quant and DeQuant."""
    inputs = [shapes.get(value) for value in node.inputs]
    a = node.attributes
    if isinstance(a, Input) and len(a.shapes) != len(node.outputs):
        problem = f"it has {len(a.shapes)} shapes for {len(node.outputs)} tops."
    elif isinstance(a, (Quant, DeQuant)) and (len(node.inputs), len(node.outputs)) != (1, 1):
        problem = (
            f"it has {len(node.inputs)} bottoms and {len(node.outputs)} tops; expected one each."
        )
    elif isinstance(a, (Input, Data)) and not all(map(_has_values, a.shapes)):
        problem = f"its shapes are {list(a.shapes)}; expected sizes above 0, batch size first."
    elif (
        node.type.shape is not None
        and inputs
        and None not in inputs
        and any(value not in shapes for value in node.outputs)
    ):
        problem = f"it cannot be computed of inputs of the shapes {inputs}."
    elif isinstance(a, Quant) and not (0 < a.scale <= _LARGEST and np.float32(a.scale) > 0):
        problem = f"quant_scale is {a.scale}; expected a finite number above 0."
    elif isinstance(a, DeQuant) and inputs and inputs[0] is not None and node.weights:
        channels, count = (*inputs[0], 0, 0)[1], node.weights[0].size
        if count in (1, channels):
            return
        problem = f"it has {count} factors; its input has {channels} channels."
    else:
        return
    raise ModelError(
        problem, file=graph.file, layer=node.name, remedy="Check the layer against its input."
    )


def _check(graph: Graph, node: Node, integer: bool) -> None:
    lacks = node.type.weights is not None or _needs_blobs(node)
    if lacks and not node.weights:
        raise ModelError(
            "the weights file has no weights for it.",
            file=graph.file,
            layer=node.name,
            remedy="Save a model whose layers were all trained, or take the layer out.",
        )
    if (node.type.accumulate if integer else node.type.run) is None:
        problem = _unknown(node, integer)
    elif not integer and _reason(node) is not None:
        problem = str(_reason(node))
    else:
        return
    remedy = "A plugin adds it with the hook amct_layer_types."
    if not integer:
        remedy += " 'amct verify' takes what it gives from the framework, where that is installed."
    raise ModelError(problem, file=graph.file, layer=node.name, field="type", remedy=remedy)


def _has_values(shape: Optional[Shape]) -> bool:
    return shape is None or (len(shape) > 0 and min(shape) > 0)


def _needs_blobs(node: Node) -> bool:
    return node.type.blobs is not None and bool(node.source and node.type.blobs(node.source))


def _unknown(node: Node, integer: bool) -> str:
    known = _simulated(integer)
    if node.op in known:
        return (
            f"by its parameters or bottoms it is another Caffe's {node.op} than the one that can "
            "be simulated."
        )
    where = " in integers" if integer else ""
    return f"layer type '{node.op}' cannot be simulated{where}; known: {', '.join(known)}."


def _reason(node: Node) -> Optional[str]:
    """Return why this layer cannot be simulated, though others of its type can."""
    return None if node.type.cannot_run is None else node.type.cannot_run(node)


def _simulated(integer: bool) -> List[str]:
    """Return the layer types that can be simulated."""
    types = registries().layer_types
    return [each.name for each in types if (each.accumulate if integer else each.run) is not None]
