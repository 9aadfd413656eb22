"""Reads a deployable model back: the inverse of :mod:`ascend_backend.writer`.

Writing what was read gives the same files byte by byte.  What the files do not hold cannot come
back: scale_d and scale_w themselves (only ``1 / scale_d`` and their product are stored), and the
weights as they were before they were rounded.
"""

from __future__ import annotations

from typing import List

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.network import CaffeNetwork, read_network
from amct_caffe.model.to_graph import to_graph
from amct_core.errors import ModelError
from amct_core.file_names import deploy_files
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import DeQuant, Quant
from amct_core.numerics import dequant
from amct_core.quantized_model import Provenance, QuantizedLayer, QuantizedModel

_LINT = "Check the model with 'amct lint', which names every rule that it breaks."


@attrs.frozen(eq=False)
class _Quantized:
    """One layer between its Quant and its DeQuant."""

    quant: Node
    node: Node
    dequant: Node


def read_deploy_model(save_path: str) -> QuantizedModel:
    """Return the model of ``<save_path>_deploy_model.prototxt`` and its weights.

    Raises:
        AmctError: a file cannot be read, or is no deployable model.
    """
    return quantized_model(read_network(*deploy_files(save_path)))


def quantized_model(network: CaffeNetwork) -> QuantizedModel:
    """Return the quantized model that ``network``, a deployable one, is a rendering of.

    Raises:
        ModelError: Quant, integer layer and DeQuant do not belong together, or a blob is missing.
    """
    deployed = to_graph(network, "TEST")
    found = {id(group.node): group for group in _groups(deployed)}
    nodes: List[Node] = []
    for node in deployed.nodes:
        if isinstance(node.attributes, (Quant, DeQuant)):
            continue
        group = found.get(id(node))
        nodes.append(node if group is None else _float_node(group))
    graph = deployed.replace(nodes)
    layers = tuple(_layer(group, graph) for group in found.values())
    return QuantizedModel(graph, layers)


def _groups(graph: Graph) -> List[_Quantized]:
    groups = []
    for node in graph.nodes:
        producer = graph.producer(node.inputs[0]) if node.inputs else None
        if producer is None or not isinstance(producer.attributes, Quant):
            continue
        readers = [use.node for use in graph.uses(node.outputs[0])]
        if len(readers) != 1 or not isinstance(readers[0].attributes, DeQuant):
            raise _error(
                graph,
                node,
                f"it reads a Quant, and its output is read by {[r.op for r in readers]}; expected "
                "one DeQuant.",
            )
        (packed,) = readers[0].weights or (None,)
        if packed is None or packed.dtype != np.uint64:
            raise _error(graph, readers[0], "it has no uint64 blob.")
        groups.append(_Quantized(producer, node, readers[0]))
    return groups


def _error(graph: Graph, node: Node, problem: str) -> ModelError:
    return ModelError(problem, file=graph.file, layer=node.name, remedy=_LINT)


def _float_node(group: _Quantized) -> Node:
    """Return the layer as it was before Quant and DeQuant went around it, weights in float32."""
    deq_scale, _, _ = dequant.unpack(group.dequant.weights[0])
    scale_w = deq_scale / _scale_d(group)
    node = group.node
    weights: List[NDArray[np.float32]] = []
    if node.weights:
        axes = node.type.weights
        along = [1] * node.weights[0].ndim
        along[axes.output if axes is not None else 0] = len(deq_scale)
        weights.append(np.asarray(node.weights[0] * scale_w.reshape(along), np.float32))
        weights += [np.asarray(bias * deq_scale, np.float32) for bias in node.weights[1:]]
    return attrs.evolve(
        node,
        bottoms=group.quant.bottoms,
        tops=group.dequant.tops,
        weights=tuple(weights),
        inputs=(),
        outputs=(),
    )


def _layer(group: _Quantized, graph: Graph) -> QuantizedLayer:
    node, attributes = group.node, group.quant.attributes
    assert isinstance(attributes, Quant)
    deq_scale, shift_n, _ = dequant.unpack(group.dequant.weights[0])
    quantization = node.type.quantization
    divisor_of = quantization.divisor if quantization is not None else None
    divisor = divisor_of(node) if divisor_of is not None else 1
    scale_d = _scale_d(group)
    return QuantizedLayer(
        name=node.name,
        op=node.op,
        input_value=graph.node(node.name).inputs[0],
        quant_scale=np.float32(attributes.scale),
        offset=attributes.offset,
        weights=np.asarray(node.weights[0], np.int8) if node.weights else None,
        bias=np.asarray(node.weights[1], np.int32) if len(node.weights) > 1 else None,
        deq_scale=deq_scale,
        shift_n=shift_n,
        divisor=divisor,
        input_shape=None,
        provenance=Provenance(scale_d, deq_scale / scale_d if node.weights else None),
    )


def _scale_d(group: _Quantized) -> np.float32:
    assert isinstance(group.quant.attributes, Quant)
    return np.float32(1) / np.float32(group.quant.attributes.scale)


__all__ = ["quantized_model", "read_deploy_model"]
