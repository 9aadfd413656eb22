"""Writes the ONNX model of a deployable model."""

from __future__ import annotations

from typing import Any, List

from amct_core.errors import ModelError
from amct_core.graph import Graph, Value
from amct_core.graph.attributes import Input, Quant
from amct_core.graph.deployed_layers import deployed_layers
from cpu_sim_backend.onnx_export.builder import GraphBuilder
from cpu_sim_backend.onnx_export.layers import (
    check_exact,
    dequant_layer,
    float_layer,
    integer_layer,
    quant,
)
from cpu_sim_backend.onnx_export.shapes import all_shapes


def export(graph: Graph) -> Any:
    """Return the ONNX model of a deployable network.

    Inputs and outputs are float32, for any batch size, and have the names of their blobs.  The
    blobs of quantized layers are there under their names, too, as uint8 ``q + 128`` and int32.
    Each layer type says how it is written (:attr:`amct_core.extensions.LayerType.onnx`).

    Args:
        graph: a deployable network with its weights.

    Raises:
        ModelError: a layer has no form in ONNX; the message names it.
    """
    builder = GraphBuilder(graph, all_shapes(graph))
    layers = deployed_layers(graph)
    by_dequant = {layer.dequant: layer for layer in layers.values()}
    inputs: List[Value] = []
    for node in graph.nodes:
        check_exact(node)
        if isinstance(node.attributes, Input):
            inputs.extend(node.outputs)
        elif isinstance(node.attributes, Quant):
            quant(builder, node)
        elif node in layers:
            integer_layer(builder, layers[node])
        elif node in by_dequant:
            dequant_layer(builder, by_dequant[node])
        else:
            float_layer(builder, node)
    outputs = [value for value in graph.outputs if graph.producer(value) is not None]
    if not outputs:
        raise ModelError("the network has no output.", file=graph.file)
    return builder.model(graph.name, inputs, outputs)
