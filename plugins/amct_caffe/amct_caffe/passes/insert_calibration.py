"""The model that is calibrated: a graph with fake-quantized weights, back in Caffe's words."""

from __future__ import annotations

from typing import Dict, List

import attrs

from amct_caffe.model.formats.prototxt.document import Layer, NetDocument
from amct_caffe.model.integer_layer import set_bias_term
from amct_caffe.model.network import CaffeNetwork
from amct_caffe.passes.python_layers import python_layer
from amct_caffe.passes.state_rules import without_state_rules
from amct_caffe.qat.parameters import CalibrationParameters
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import Convolution, InnerProduct
from amct_core.graph.names import UniqueNames
from amct_core.ptq.kept_batches import prefix
from amct_core.ptq.observing import parameters_of
from amct_core.ptq.plan import CalibrationGroup, CalibrationPlan
from amct_core.textproto import Message


def rebuilt(graph: Graph) -> Graph:
    """Return ``graph`` with layers that say what its nodes do.

    1. Bottoms and tops are the node's.
    2. A layer that got a bias says so.
    3. Rules of stages and levels go: these are the layers that they have chosen.
    """
    return graph.replace(_rebuilt(node) for node in graph.nodes)


def _rebuilt(node: Node) -> Node:
    layer = without_state_rules(node.source)
    layer.bottoms, layer.tops = list(node.bottoms), list(node.tops)
    attributes, has_bias = node.attributes, len(node.weights) > 1
    if isinstance(attributes, (Convolution, InnerProduct)) and attributes.bias_term < has_bias:
        set_bias_term(layer, True)
        attributes = attrs.evolve(attributes, bias_term=True)
    return attrs.evolve(node, source=layer, attributes=attributes)


def calibration_network(plan: CalibrationPlan) -> CaffeNetwork:
    """Return the network that is calibrated.

    1. Each group gets one Calibration, directly before its first layer, named
       ``<first layer>_calibration``; it has no top, so all blobs keep their names.
    2. The weights of quantized layers are fake-quantized.
    3. Layers share no weights by name any more: fusion and quantization make them differ.
    """
    calibrations = _calibrations(plan)
    layers: List[Layer] = []
    weights = {}
    for node in plan.graph.nodes:
        layer = node.source.copy()
        if node.name in calibrations:
            layers.append(calibrations[node.name])
        layers.append(layer)
        if not node.weights:
            continue
        layer.param_specs = [attrs.evolve(spec, name=None) for spec in layer.param_specs]
        weights[node.name] = list(node.weights)
        quantized = plan.weights.get(node.name)
        if quantized is not None:
            weights[node.name][0] = quantized.fake_quantized()
    source = plan.graph.source
    fields = source.copy() if isinstance(source, Message) else Message()
    return CaffeNetwork(NetDocument(fields, layers), weights)


def _calibrations(plan: CalibrationPlan) -> Dict[str, Layer]:
    names = UniqueNames(plan.graph)
    return {
        group.name: _calibration(group, number, plan, names.unique(f"{group.name}_calibration"))
        for number, group in enumerate(plan.groups)
    }


def _calibration(group: CalibrationGroup, number: int, plan: CalibrationPlan, name: str) -> Layer:
    parameters = CalibrationParameters(
        layers=group.layers,
        blob=group.value.name,
        algo=group.activation.act_algo,
        options=parameters_of(group.activation, plan.config.activation_offset),
        batch_num=plan.config.batch_num,
        record_file=plan.record_file,
        kept_as=None if plan.inputs_folder is None else prefix(plan.inputs_folder, number),
    )
    return python_layer(name, "Calibration", [group.value.name], [], parameters)
