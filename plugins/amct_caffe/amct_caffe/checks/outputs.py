"""Outputs that nothing has computed."""

from __future__ import annotations

from typing import Iterator

from amct_caffe.checks.check import Violation
from amct_caffe.model.layer_type import layer_type, role_of
from amct_caffe.model.network import CaffeNetwork
from amct_caffe.model.to_inference import to_inference
from amct_core.extensions import Role
from amct_core.extensions.frontend import NetworkViews
from amct_core.graph import Graph, Node


def outputs_that_are_inputs(views: NetworkViews) -> Iterator[Violation]:
    """Yield each output of the deployed network that has the name of an input.

    That is an input that no layer reads, or one that a layer without readers works on in place: of
    either, one name would stand for what goes in and for what comes out.
    """
    network: CaffeNetwork = views.source
    layers = to_inference([node.source for node in views.test.nodes], lambda blob: (1,))
    graph = Graph(
        views.test.name,
        [Node(each.name, layer_type(each), each.bottoms, each.tops) for each in layers],
    )
    inputs = {top for each in layers if role_of(each) is Role.INPUT for top in each.tops}
    for value in graph.outputs:
        producer = graph.producer(value)
        if value.name in inputs and producer is not None:
            yield Violation(
                "top",
                f"its top '{value.name}' is an output of the network, and an input has the same "
                "name; expected a layer between them that writes a blob of its own.",
                "Give the top another name, or take the layer out of the network.",
                producer.name,
                network.model_file,
            )
