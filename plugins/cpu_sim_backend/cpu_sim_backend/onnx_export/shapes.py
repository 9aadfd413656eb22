"""The shapes of all tensors, where a plugin's layer has no rule of shape inference."""

from __future__ import annotations

from typing import Mapping, Tuple

import numpy as np

from amct_core.graph import Graph, Value
from amct_core.graph.shapes import known_shapes, shapes_of_inputs
from cpu_sim_backend.execution import Execution, as_array

Shapes = Mapping[Value, Tuple[int, ...]]


def all_shapes(graph: Graph) -> Shapes:
    """Return the shape of every value: from the rules, or from running the network on ones."""
    known = known_shapes(graph)
    if all(value in known for node in graph.nodes for value in node.outputs):
        return known
    inputs = shapes_of_inputs(graph).items()
    execution = Execution({top: np.ones(shape, np.float32) for top, shape in inputs})
    return {
        value: as_array(tensor).shape
        for node in graph.nodes
        for value, tensor in zip(node.outputs, execution.run(node))
    }
