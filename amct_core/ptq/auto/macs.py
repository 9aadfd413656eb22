"""What layers cost: multiply-accumulates."""

from __future__ import annotations

from typing import Dict, Iterable, Mapping, Tuple

import numpy as np

from amct_core.graph import Graph
from amct_core.graph.shapes import infer_shapes


def macs_of(
    graph: Graph, layers: Iterable[str], inputs: Mapping[str, Tuple[int, ...]]
) -> Dict[str, int]:
    """Return the multiply-accumulates of each of ``layers`` for one sample, in their order.

    A layer without weights has none, nor has one whose shapes cannot be known.

    Args:
        graph: the network.
        layers: names.
        inputs: shapes of the input blobs, batch size first.
    """
    shapes = infer_shapes(graph, inputs)
    found = {}
    for name in layers:
        node = graph.node(name)
        axes = node.type.weights
        # In a Deconvolution, whose outputs are on axis 1, each input is multiplied; else each
        # output is a sum over one row of the weights.
        gathers = axes is not None and axes.output != 0
        value = node.inputs[0] if gathers else node.outputs[0]
        if axes is None or value not in shapes:
            found[name] = 0
            continue
        rows = node.weights[0].shape[0]
        found[name] = int(np.prod(shapes[value][1:])) * int(node.weights[0].size) // rows
    return found
