"""The linted model as a graph, for rules that ask what the network computes."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from numpy.typing import NDArray

from amct_caffe.model.formats.prototxt.document import NetDocument
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.network import CaffeNetwork
from amct_caffe.model.to_graph import to_graph
from amct_core.errors import AmctError
from amct_core.graph import Graph
from ascend_backend.lint.model import DeployModel


def graph_of(model: DeployModel) -> Optional[Graph]:
    """Return the layers that ATC keeps; None if they make no network, which other rules report."""
    weights: Dict[str, List[NDArray[Any]]] = {}
    for layer in model.layers:
        blobs = model.blobs(layer)
        # Blobs that contradict themselves have a rule of their own.
        if blobs and all(blob.elements.size == blob.expected_elements for blob in blobs):
            weights[layer.name] = [blob.elements.reshape(blob.shape) for blob in blobs]
    try:
        network = CaffeNetwork(NetDocument(model.net, _makers_first(model)), weights)
        return to_graph(network, "TEST")
    except AmctError:
        return None


def _makers_first(model: DeployModel) -> List[Layer]:
    """Return the layers with those that ATC makes of net-level ``input`` in front of the others."""
    declared = {id(layer) for layer in model.declared}
    return sorted(model.layers, key=lambda each: each.type != "Input" or id(each) in declared)
