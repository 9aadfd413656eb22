"""A quantized model as a graph with Quant and DeQuant, in memory: what its deployable file says."""

from __future__ import annotations

from typing import List

import attrs

from amct_core.graph import Graph, Node
from amct_core.graph.attributes import Convolution, DeQuant, InnerProduct, Quant
from amct_core.lowering import DequantStep, FloatStep, IntegerStep, QuantStep, Step
from amct_core.numerics import dequant
from amct_core.quantized_model import QuantizedModel


def quantized_graph(model: QuantizedModel) -> Graph:
    """Return the graph of ``model``: blobs of float layers, and versions, are those of its own."""
    nodes: List[Node] = [_node(step) for step in model.steps]
    return model.graph.replace(nodes)


def _node(step: Step) -> Node:
    if isinstance(step, FloatStep):
        return step.node
    layer = step.layer
    if isinstance(step, QuantStep):
        quant = Quant(float(layer.quant_scale), layer.offset)
        return Node(step.name, "Quant", (step.bottom,), (step.top,), quant)
    if isinstance(step, DequantStep):
        return _dequant(step)
    return _integer_layer(step)


def _integer_layer(step: IntegerStep) -> Node:
    layer, node = step.layer, step.node
    weights = tuple(each for each in (layer.weights, layer.bias) if each is not None)
    attributes = node.attributes
    if isinstance(attributes, (Convolution, InnerProduct)):
        attributes = attrs.evolve(attributes, bias_term=layer.bias is not None)
    return attrs.evolve(
        node, bottoms=(step.bottom,), tops=(step.top,), weights=weights, attributes=attributes
    )


def _dequant(step: DequantStep) -> Node:
    words = dequant.pack(step.layer.deq_scale, step.layer.shift_n)
    return Node(step.name, "DeQuant", (step.bottom,), (step.top,), DeQuant(), (words,))
