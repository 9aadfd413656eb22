"""Returns layers of a quantized network to float."""

from __future__ import annotations

from typing import Collection

import attrs

from amct_core.graph import Graph
from amct_core.quantized_model import QuantizedModel


def rolled_back(model: QuantizedModel, reference: Graph, names: Collection[str]) -> QuantizedModel:
    """Return ``model`` with the layers ``names`` in float.

    They compute again what they do in ``reference``, with their own biases.  The others stay as
    they are: a bias that was corrected with these layers in integers is not corrected once more.

    Args:
        model: the quantized network.
        reference: the network in float that it was made of.
        names: of layers; one that is not quantized is left as it is.
    """
    if not names:
        return model
    graph = model.graph.replace(
        reference.node(node.name) if node.name in names else node for node in model.graph.nodes
    )
    layers = tuple(layer for layer in model.layers if layer.name not in names)
    return attrs.evolve(model, graph=graph, layers=layers)
