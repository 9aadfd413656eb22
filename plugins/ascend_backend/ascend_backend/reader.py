"""Reads a deployable model back: the inverse of :mod:`ascend_backend.writer`.

Writing what was read gives the same files byte by byte, except the digests of other files in the
map of names.  What the files do not hold cannot come back: scale_d and scale_w themselves (only
``1 / scale_d`` and their product are stored), and the weights as they were before they were
rounded.
"""

from __future__ import annotations

from typing import List

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.network import CaffeNetwork, read_network
from amct_caffe.model.saved_set import check_saved_set
from amct_caffe.model.to_graph import to_graph
from amct_core.file_names import deploy_files
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import DeQuant, Quant
from amct_core.graph.deployed_layers import DeployedLayer, deployed_layers
from amct_core.quantized_model import Provenance, QuantizedLayer, QuantizedModel


def read_deploy_model(save_path: str) -> QuantizedModel:
    """Return the model of ``<save_path>_deploy_model.prototxt`` and its weights.

    Raises:
        AmctError: a file cannot be read, or is no deployable model.
    """
    files = deploy_files(save_path)
    network = read_network(*files)
    check_saved_set(network.document.layers, *files)
    return quantized_model(network)


def quantized_model(network: CaffeNetwork) -> QuantizedModel:
    """Return the quantized model that ``network``, a deployable one, is a rendering of.

    Raises:
        ModelError: Quant, integer layer and DeQuant do not belong together, or a blob is missing.
    """
    deployed = to_graph(network, "TEST")
    found = deployed_layers(deployed)
    graph = deployed.replace(
        _float_node(found[node]) if node in found else node
        for node in deployed.nodes
        if not isinstance(node.attributes, (Quant, DeQuant))
    )
    return QuantizedModel(graph, tuple(_layer(layer, graph) for layer in found.values()))


def _float_node(layer: DeployedLayer) -> Node:
    """Return the layer as it was before Quant and DeQuant went around it, weights in float32."""
    node, deq_scale = layer.node, layer.deq_scale
    scale_w = deq_scale / _scale_d(layer)
    weights: List[NDArray[np.float32]] = []
    if node.weights:
        axes = node.type.weights
        along = [1] * node.weights[0].ndim
        along[axes.output if axes is not None else 0] = len(deq_scale)
        weights.append(np.asarray(node.weights[0] * scale_w.reshape(along), np.float32))
        weights += [np.asarray(bias * deq_scale, np.float32) for bias in node.weights[1:]]
    return attrs.evolve(
        node,
        bottoms=layer.quant.bottoms,
        tops=layer.dequant.tops,
        weights=tuple(weights),
        inputs=(),
        outputs=(),
    )


def _layer(layer: DeployedLayer, graph: Graph) -> QuantizedLayer:
    node = layer.node
    quantization = node.type.quantization
    divisor_of = quantization.divisor if quantization is not None else None
    scale_d = _scale_d(layer)
    scale_w = None if layer.weights is None else layer.deq_scale / scale_d
    return QuantizedLayer(
        name=node.name,
        op=node.op,
        input_value=graph.node(node.name).inputs[0],
        quant_scale=layer.quant_scale,
        offset=layer.offset,
        weights=None if layer.weights is None else np.asarray(layer.weights, np.int8),
        bias=None if layer.bias is None else np.asarray(layer.bias, np.int32),
        deq_scale=layer.deq_scale,
        shift_n=layer.shift_n,
        divisor=divisor_of(node) if divisor_of is not None else 1,
        input_shape=None,
        provenance=Provenance(scale_d, scale_w),
    )


def _scale_d(layer: DeployedLayer) -> np.float32:
    return np.float32(1) / layer.quant_scale


__all__ = ["quantized_model", "read_deploy_model"]
