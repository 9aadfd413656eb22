"""Turns quantized layers back into float16 layers, as ATC does.

Of Quant, layer and DeQuant become: rounding to float16, the layer with float16 weights, rounding to
float16.  Blobs keep their names; that between layer and DeQuant holds float32 sums.

A Quant that other layers read as well stays for them.  A layer with weights then reads what the
Quant read; an AVE Pooling reads the Quant through an AntiQuant.

Source: CANN fusion engine, ``QuantRollback`` in bias_optimize_quant_rollback_base.cc and in
pooling_quant_process_fusion_pass.cc (``AddAntiQuantNode``).
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

import attrs
from numpy.typing import NDArray

from amct_core.errors import AmctError, ModelError
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import DeQuant, Float16, Pooling, Quant
from amct_core.graph.names import UniqueNames
from amct_core.numerics import dequant, rollback
from cpu_sim_backend.device.float16_layer import FLOAT16_LAYER


@attrs.frozen(eq=False)
class _Group:
    """A layer that is rolled back, with what is around it."""

    quant: Node
    layer: Node
    dequant: Node


def roll_back(graph: Graph, layers: Sequence[str]) -> Graph:
    """Return ``graph`` with ``layers`` in float16.

    Args:
        graph: a deployable model.
        layers: quantized layers.

    Raises:
        ModelError: a layer reads no Quant, or is not followed by one DeQuant of its own.
        QuantizationError: a scale is out of range.
    """
    groups = [_group(graph, graph.node(name)) for name in layers]
    by_layer = {id(group.layer): group for group in groups}
    dequants = {id(group.dequant) for group in groups}
    names = UniqueNames(graph)
    casts: Dict[str, str] = {}
    nodes: List[Node] = []
    for node in graph.nodes:
        own = [group for group in groups if group.quant is node]
        if own:
            # The roundings stand where the Quant is: its input may be overwritten further down.
            shared = len(graph.uses(node.outputs[0])) > 1
            nodes.extend(_casts(own, shared, names, casts))
            if len(own) == len(graph.uses(node.outputs[0])):
                continue
        if id(node) in by_layer:
            node = _in_float16(by_layer[id(node)], casts[node.name])
        elif id(node) in dequants:
            node = _rounding(node.name, node.bottoms[0], node.tops[0])
        nodes.append(node)
    return graph.replace(nodes)


def _group(graph: Graph, layer: Node) -> _Group:
    quant = graph.producer(layer.inputs[0]) if layer.inputs else None
    uses = [use.node for value in layer.outputs for use in graph.uses(value)]
    if quant is None or not isinstance(quant.attributes, Quant):
        raise _error(graph, layer, "it reads no Quant, and is to be computed in float16.")
    if len(uses) != 1 or not isinstance(uses[0].attributes, DeQuant) or not uses[0].weights:
        raise _error(
            graph,
            layer,
            f"its output is read by {[node.op for node in uses]}; expected one DeQuant with a "
            "blob, to compute the layer in float16.",
        )
    return _Group(quant, layer, uses[0])


def _error(graph: Graph, layer: Node, problem: str) -> ModelError:
    return ModelError(
        problem,
        file=graph.file,
        layer=layer.name,
        remedy="Simulate without a soc version, or save the model again.",
    )


def _casts(
    groups: Sequence[_Group], shared: bool, names: UniqueNames, casts: Dict[str, str]
) -> List[Node]:
    """Return the roundings of what each group's layer reads; fill in which blob it reads now.

    A Pooling behind a Quant of several readers reads int8.  ATC takes the readers one after the
    other, in an order that is not public: the last of them may find the Quant unshared.
    """
    nodes = []
    for group in groups:
        quant = group.quant.attributes
        assert isinstance(quant, Quant)
        through = quant if shared and isinstance(group.layer.attributes, Pooling) else None
        name = names.unique(f"{group.layer.name}_float16")
        casts[group.layer.name] = name
        nodes.append(_rounding(name, group.quant.bottoms[0], name, through))
    return nodes


def _rounding(name: str, bottom: str, top: str, through: Optional[Quant] = None) -> Node:
    return Node(name, FLOAT16_LAYER, (bottom,), (top,), Float16(through))


def _in_float16(group: _Group, bottom: str) -> Node:
    layer = group.layer
    try:
        weights = _weights(group)
    except AmctError as error:
        # What computes the weights need not know the layer's name.
        raise type(error)(error.problem, layer=layer.name, remedy=error.remedy) from error
    return attrs.evolve(layer, bottoms=(bottom, *layer.bottoms[1:]), weights=weights)


def _weights(group: _Group) -> Tuple[NDArray[Any], ...]:
    layer, quant = group.layer, group.quant.attributes
    assert isinstance(quant, Quant)
    if not layer.weights:
        return ()
    deq_scale, _, _ = dequant.unpack(group.dequant.weights[0])
    axes = layer.type.weights
    axis = axes.output if axes is not None and len(deq_scale) > 1 else None
    weights = rollback.weights(layer.weights[0], deq_scale, quant.scale, axis)
    return (weights, *(rollback.bias(bias, deq_scale) for bias in layer.weights[1:]))
