"""The float network that a deployable one was made of, layer by layer comparable with it.

What saving did in float, before anything was quantized, is done again: a BatchNorm or Scale that
the deployable network lacks is folded into its neighbour, and where weights were equalized across
layers, they are here.  Then layers of one name in both compute the same, in float and in int8.
"""

from __future__ import annotations

import logging
from typing import Dict, Iterable, Optional, Sequence, Set, Tuple

import attrs
import numpy as np

from amct_core.errors import ModelError
from amct_core.graph import Graph, Node, Value
from amct_core.graph.attributes import Attributes, BatchNorm, DeQuant, Opaque, Quant, Scale
from amct_core.graph.deployed_layers import DeployedLayer, deployed_layers
from amct_core.plugins import registries
from amct_core.ptq.fusion import fuse
from amct_core.ptq.improvements.equalization import equalized, find_pairs
from amct_core.workflow import frontend_for
from cpu_sim_backend.ptq.part import part_for

_log = logging.getLogger("cpu_sim_backend.analysis")

_SOFTMAX = "Softmax"
_FAR = 0.1
"""Rounded to int8 alone, weights differ from those in float by about a hundredth of their norm."""
_REMEDY = "Give the float model that the quantized one was made of."


def read_float_network(
    model_file: str, weights_file: str, solver_file: Optional[str] = None
) -> Graph:
    """Return a float network as it is in testing, with its weights.

    Args:
        model_file, weights_file: the network.
        solver_file: of its training, which says in which stages and levels it is tested; None: the
            network's own file says so.

    Raises:
        AmctError: a file cannot be read.
    """
    frontend = frontend_for(model_file, registries())
    if solver_file is None:
        return frontend.read_for_inference(model_file, weights_file).test
    return frontend.read(model_file, weights_file, frontend.states_of(solver_file)).test


def logits(deployed: Graph) -> Tuple[Value, ...]:
    """Return what a deployable network is judged by: its outputs, and of a Softmax its input.

    A Softmax squeezes the differences between large scores, so that errors behind it say little.
    """
    found: Dict[Value, None] = {}
    for value in deployed.outputs:
        node = deployed.producer(value)
        found[node.inputs[0] if node is not None and node.op == _SOFTMAX else value] = None
    return tuple(found)


def same_values(deployed: Graph, graph: Graph, values: Sequence[Value]) -> Tuple[Value, ...]:
    """Return what each of ``values`` of the deployable network is in the float network ``graph``.

    It is what the layer of the same name gives; where no layer has that name, the blob of the same
    name.

    Raises:
        ModelError: ``graph`` has neither.
    """
    return tuple(_same_value(deployed, graph, value) for value in values)


def _same_value(deployed: Graph, graph: Graph, value: Value) -> Value:
    node = deployed.producer(value)
    if node is None:
        return _of_name(graph, value.name)
    index = node.outputs.index(value)
    if isinstance(node.attributes, DeQuant):
        accumulating = deployed.producer(node.inputs[0])
        node = node if accumulating is None else accumulating
    if node.name in graph and len(graph.node(node.name).outputs) > index:
        return graph.node(node.name).outputs[index]
    return _of_name(graph, value.name)


def _of_name(graph: Graph, blob: str) -> Value:
    try:
        return graph.final_value(blob)
    except ModelError as error:
        raise ModelError(
            f"it is not the float network of the quantized one: it has no blob '{blob}'.",
            file=graph.file,
            remedy=_REMEDY,
        ) from error


def float_counterpart(graph: Graph, deployed: Graph) -> Graph:
    """Return the float network as the deployable one has it: folded, and equalized, as that is.

    Args:
        graph: the float network, with weights.
        deployed: the deployable network.

    Raises:
        ModelError: the layers with weights, or the shapes of weights, are not those of
            ``deployed``.
    """
    layers = tuple(deployed_layers(deployed).values())
    folded = _folded(graph, {node.name for node in deployed.nodes})
    _check_layers(folded, deployed)
    _check_shapes(folded, layers)
    return _equalized_as(folded, layers)


def _folded(graph: Graph, kept: Set[str]) -> Graph:
    """Return ``graph`` with all BatchNorm and Scale layers folded, except ``kept``."""
    hidden: Dict[str, Attributes] = {
        node.name: node.attributes
        for node in graph.nodes
        if isinstance(node.attributes, (BatchNorm, Scale)) and node.name in kept
    }
    # What fusion does not see as a BatchNorm or a Scale it leaves where it is.
    unseen = graph.replace(
        attrs.evolve(node, attributes=Opaque()) if node.name in hidden else node
        for node in graph.nodes
    )
    fused = fuse(unseen, level=logging.DEBUG)
    return fused.replace(
        attrs.evolve(node, attributes=hidden.get(node.name, node.attributes))
        for node in fused.nodes
    )


def _check_layers(graph: Graph, deployed: Graph) -> None:
    wanted = logits(deployed)
    expected = _weighted(deployed, wanted)
    found = _weighted(graph, same_values(deployed, graph, wanted))
    if found != expected:
        raise ModelError(
            f"it is not the float network of the quantized one: {_listed(expected - found)} with "
            f"weights are missing, and {_listed(found - expected)} are in this one only.",
            file=graph.file,
            remedy=_REMEDY,
        )


def _weighted(graph: Graph, values: Sequence[Value]) -> Set[str]:
    """Return the layers with weights that ``values`` depend on, except Quant and DeQuant."""
    return {
        node.name
        for node in part_for(graph, values).graph.nodes
        if node.weights and not isinstance(node.attributes, (Quant, DeQuant))
    }


def _listed(names: Iterable[str]) -> str:
    return f"layers {sorted(names)}" if names else "no layers"


def _check_shapes(graph: Graph, layers: Sequence[DeployedLayer]) -> None:
    for layer in layers:
        node = graph.node(layer.name)
        found = node.weights[0].shape if node.weights else None
        expected = layer.weights.shape if layer.weights is not None else None
        if found != expected:
            raise ModelError(
                f"its weights have the shape {found}; expected {expected}, as in the quantized "
                "model.",
                file=graph.file,
                layer=layer.name,
                remedy=_REMEDY,
            )


def _equalized_as(graph: Graph, layers: Sequence[DeployedLayer]) -> Graph:
    """Return ``graph``, equalized across layers if that is nearer to the int8 weights."""
    own = _distance(graph, layers)
    if own <= _FAR or not find_pairs(graph).treated:
        return graph
    other = equalized(graph)
    if _distance(other, layers) >= own:
        _log.info(
            "the int8 weights differ from those in float by up to %.0f %% of their norm: they were "
            "trained, or steps are coarse",
            100 * own,
        )
        return graph
    _log.info("the weights of the quantized model are equalized; so are those in float here")
    return other


def _distance(graph: Graph, layers: Sequence[DeployedLayer]) -> float:
    """Return how far the int8 weights of a layer are from those in float, at most, over these."""
    return max((_of_layer(graph.node(layer.name), layer) for layer in layers), default=0.0)


def _of_layer(node: Node, layer: DeployedLayer) -> float:
    if layer.weights is None or layer.node.type.weights is None:
        return 0.0
    scale = layer.deq_scale * layer.quant_scale  # scale_d cancels
    if scale.size > 1:
        shape = [1] * layer.weights.ndim
        shape[layer.node.type.weights.output] = -1
        scale = scale.reshape(shape)
    weights = np.asarray(node.weights[0], np.float64)
    size = float(np.linalg.norm(weights))
    return float(np.linalg.norm(layer.weights * scale - weights)) / size if size else 0.0
