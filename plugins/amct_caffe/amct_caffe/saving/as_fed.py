"""A quantized model as it is fed with arrays: for backends that write no Caffe files."""

from __future__ import annotations

from typing import Dict, Iterable, Iterator, Mapping, Tuple

import attrs

from amct_caffe.model.formats.prototxt.document import Layer, NetDocument
from amct_caffe.model.network import CaffeNetwork
from amct_caffe.model.shapes_of_inputs import InputShapes
from amct_caffe.model.to_graph import to_graph
from amct_caffe.model.to_inference import to_inference
from amct_core.graph import Node
from amct_core.graph.attributes import Input
from amct_core.lowering import DequantStep
from amct_core.quantized_model import QuantizedModel


def as_fed(model: QuantizedModel) -> QuantizedModel:
    """Return ``model`` without layers for data, losses and scores.

    What goes is what :mod:`amct_caffe.model.deployed` says.  Each blob that is fed comes from an
    Input of a known shape.

    Raises:
        ModelError: the shape of an input is not known, or a quantized layer would be missing.
    """
    layers = to_inference(list(map(_as_wired, model.graph.nodes)), InputShapes(model))
    blobs = {node.name: list(node.weights) for node in model.graph.nodes if node.weights}
    written = CaffeNetwork(NetDocument.create(model.graph.name, layers), blobs)
    own = {node.name: node for node in model.graph.nodes}
    graph = model.graph.replace(_nodes(to_graph(written, "TEST").nodes, own, model.input_shapes))
    steps = [step for step in model.steps if isinstance(step, DequantStep)]
    model.check_kept({step.name for step in steps if step.layer.name in graph}, str(graph.file))
    return attrs.evolve(model, graph=graph)


def _as_wired(node: Node) -> Layer:
    layer: Layer = node.source.copy()
    layer.bottoms, layer.tops = list(node.bottoms), list(node.tops)
    return layer


def _nodes(
    written: Iterable[Node], own: Dict[str, Node], shapes: Mapping[str, Tuple[int, ...]]
) -> Iterator[Node]:
    """Yield the layers as they are in the model; those that it has in another form, as written."""
    for node in written:
        if isinstance(node.attributes, Input):
            known = zip(node.tops, node.attributes.shapes)
            declared = Input(tuple(tuple(shapes.get(top, shape)) for top, shape in known))
            yield attrs.evolve(node, attributes=declared)
        else:
            same = own.get(node.name, node)
            yield same if same.op == node.op else node
