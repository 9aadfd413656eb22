"""Turns quantized layers back into float16 layers, as ATC does.

Of Quant, layer and DeQuant become: rounding to float16, the layer with float16 weights, rounding to
float16.  Blobs keep their names; that between layer and DeQuant holds float32 sums.

A Quant that other layers read as well stays for them.  A layer with weights then reads what the
Quant read; an AVE Pooling reads the Quant through an AntiQuant.

Source: CANN fusion engine, ``QuantRollback`` in bias_optimize_quant_rollback_base.cc and in
pooling_quant_process_fusion_pass.cc (``AddAntiQuantNode``).
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import attrs
from numpy.typing import NDArray

from amct_core.errors import AmctError, ModelError
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import Float16, Pooling, Quant
from amct_core.graph.deployed_layers import DeployedLayer, deployed_layers
from amct_core.graph.names import UniqueNames
from amct_core.numerics import rollback
from cpu_sim_backend.device.float16_layer import FLOAT16_LAYER


def roll_back(graph: Graph, layers: Sequence[str]) -> Graph:
    """Return ``graph`` with ``layers`` in float16.

    Args:
        graph: a deployable model.
        layers: quantized layers.

    Raises:
        ModelError: a layer is not quantized, or the graph is no deployable model.
        QuantizationError: a scale is out of range.
    """
    quantized = deployed_layers(graph)
    rolled_back = {node: _among(quantized, node, graph) for node in map(graph.node, layers)}
    dequants = {layer.dequant for layer in rolled_back.values()}
    names = UniqueNames(graph)
    casts: Dict[str, str] = {}
    nodes: List[Node] = []
    for node in graph.nodes:
        own = [layer for layer in rolled_back.values() if layer.quant is node]
        if own:
            # The roundings stand where the Quant is: its input may be overwritten further down.
            left = len(graph.uses(node.outputs[0])) - sum(_has_weights(layer) for layer in own)
            nodes.extend(_casts(own, left > 1, names, casts))
            if len(own) == len(graph.uses(node.outputs[0])):
                continue
        if node in rolled_back:
            node = _in_float16(rolled_back[node], casts[node.name])
        elif node in dequants:
            node = _rounding(node.name, node.bottoms[0], node.tops[0])
        nodes.append(node)
    return graph.replace(nodes)


def _among(quantized: Mapping[Node, DeployedLayer], node: Node, graph: Graph) -> DeployedLayer:
    if node not in quantized:
        raise ModelError(
            "it reads no Quant, and is to be computed in float16.",
            file=graph.file,
            layer=node.name,
            remedy="Simulate without a soc version, or save the model again.",
        )
    return quantized[node]


def _casts(
    layers: Sequence[DeployedLayer], shared: bool, names: UniqueNames, casts: Dict[str, str]
) -> List[Node]:
    """Return the roundings of what each layer reads; fill in which blob it reads now.

    A Pooling behind a Quant of several readers (``shared``) reads int8.  ATC takes layers with
    weights out first, so these are no readers any more (priorities of the passes in fusion_config
    of hicann/ge); that a Pooling which has been taken out remains one is inferred.
    """
    nodes = []
    for layer in layers:
        reads_int8 = shared and not _has_weights(layer)
        through = layer.quant.typed(Quant) if reads_int8 else None
        name = names.unique(f"{layer.name}_float16")
        casts[layer.name] = name
        nodes.append(_rounding(name, layer.quant.bottoms[0], name, through))
    return nodes


def _has_weights(layer: DeployedLayer) -> bool:
    return not isinstance(layer.node.attributes, Pooling)


def _rounding(name: str, bottom: str, top: str, through: Optional[Quant] = None) -> Node:
    return Node(
        name,
        FLOAT16_LAYER,
        (bottom,),
        (top,),
        Float16(through, through.scale if through is not None else 1.0),
    )


def _in_float16(layer: DeployedLayer, bottom: str) -> Node:
    try:
        weights = _weights(layer)
    except AmctError as error:
        # What computes the weights need not know the layer's name.
        raise error.at(layer=layer.name) from error
    return attrs.evolve(layer.node, bottoms=(bottom, *layer.node.bottoms[1:]), weights=weights)


def _weights(layer: DeployedLayer) -> Tuple[NDArray[Any], ...]:
    if layer.weights is None:
        return ()
    axes, deq_scale = layer.node.type.weights, layer.deq_scale
    axis = axes.output if axes is not None and len(deq_scale) > 1 else None
    weights = rollback.weights(layer.weights, deq_scale, layer.quant_scale, axis)
    biases = () if layer.bias is None else (rollback.bias(layer.bias, deq_scale),)
    return (weights, *biases)
