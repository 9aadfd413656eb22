"""Rewrites a deployable model into what a processor computes."""

from __future__ import annotations

from typing import Callable, Sequence, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.contracts.processors import merged_layers, rolled_back_layers
from amct_core.extensions import Merged, ProcessorFamily
from amct_core.extensions.processor_family import (
    FLOAT16,
    FLOAT16_SCALE,
    FLOAT32,
    MERGED,
    REQUANTIZED,
    SEPARATE,
)
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import DeQuant, Float16, Input, Quant
from amct_core.graph.deployed_layers import quantized_nodes
from amct_core.numerics import dequant, fixpipe
from cpu_sim_backend.device.deviations import Deviation, DeviceGraph
from cpu_sim_backend.device.merging import dequantize_to, merge
from cpu_sim_backend.device.rollback import roll_back

Words = NDArray[np.uint64]


def as_computed_by(graph: Graph, family: ProcessorFamily, soc_version: str) -> DeviceGraph:
    """Return ``graph`` as ``family`` computes it, and where that departs from ``graph``.

    Args:
        graph: a deployable model.
        family: the one that the processor belongs to.
        soc_version: the name that the user gave.

    Raises:
        ModelError: a layer that is rolled back is not in the graph, reads no Quant, or has no
            DeQuant of its own behind it.
    """
    steps: Tuple[Callable[[Graph, ProcessorFamily], Tuple[Graph, Deviation]], ...] = (
        # Layers that are rolled back have no Quant and no DeQuant any more: they come first.  What
        # is merged tells the following steps which Quants and DeQuants are left.
        _rolled_back,
        _merged,
        _dequantized,
        _quantized_in_float16,
        _floats_in_float16,
        _cut_deq_scale,
        _applied_shift,
    )
    deviations = []
    for step in steps:
        graph, deviation = step(graph, family)
        deviations.append(deviation)
    return DeviceGraph(soc_version, family, graph, tuple(deviations))


def _rolled_back(graph: Graph, family: ProcessorFamily) -> Tuple[Graph, Deviation]:
    fact = family.rolls_back
    layers: Tuple[str, ...] = ()
    if fact.value:
        named = {graph.node(found.layer).name for found in rolled_back_layers(family, graph)}
        layers = tuple(node.name for node in graph.nodes if node.name in named)
        graph = roll_back(graph, layers)
    behaviour = _behaviour(
        fact.value, "computed in float16", "none", "not known; computed in integers"
    )
    open_point = "in which order the sums are taken is not public" if layers else ""
    title = "layers rolled back to float16"
    departs = bool(fact.value)
    return graph, Deviation("rolls_back", title, fact, behaviour, departs, layers, open_point)


def _merged(graph: Graph, family: ProcessorFamily) -> Tuple[Graph, Deviation]:
    fact = family.merges
    found: Sequence[Merged] = ()
    if fact.value in (MERGED, REQUANTIZED):
        found = merged_layers(family, graph)
        graph = merge(graph, found, fact.value)
    layers = tuple(name for each in found for name in each.quants)
    behaviours = {
        SEPARATE: "computed one after the other",
        MERGED: "the scale of the Quant moves into deq_scale",
        REQUANTIZED: "one operation from int32 to int8",
        None: "not known; computed one after the other",
    }
    departs = fact.value in (MERGED, REQUANTIZED)
    open_point = "how it rounds is inferred" if fact.value == REQUANTIZED and layers else ""
    title, behaviour = "DeQuant and Quant", behaviours[fact.value]
    return graph, Deviation("merges", title, fact, behaviour, departs, layers, open_point)


def _dequantized(graph: Graph, family: ProcessorFamily) -> Tuple[Graph, Deviation]:
    fact = family.dequantizes_to
    layers: Tuple[str, ...] = ()
    if fact.value in (FLOAT16, FLOAT16_SCALE):
        graph, layers = dequantize_to(graph, fact.value)
    behaviours = {
        FLOAT32: "gives float32",
        FLOAT16: "gives float16",
        FLOAT16_SCALE: "gives float16, with deq_scale (or its root) in float16",
        None: "not known; gives float32",
    }
    departs = fact.value in (FLOAT16, FLOAT16_SCALE)
    behaviour = behaviours[fact.value]
    open_point = "that a product is rounded once is inferred" if layers else ""
    return graph, Deviation(
        "dequantizes_to", "DeQuant", fact, behaviour, departs, layers, open_point
    )


def _quantized_in_float16(graph: Graph, family: ProcessorFamily) -> Tuple[Graph, Deviation]:
    fact = family.quantizes_in_fp16
    layers: Tuple[str, ...] = ()
    if fact.value:
        graph = graph.replace([_in_float16(node) for node in graph.nodes])
        quants = ((n.name, n.attributes) for n in graph.nodes)
        layers = tuple(name for name, a in quants if isinstance(a, Quant) and a.float16)
    behaviour = _behaviour(
        fact.value, "computed in float16", "computed in float32", "not known; computed in float32"
    )
    return graph, Deviation("quantizes_in_fp16", "Quant", fact, behaviour, bool(fact.value), layers)


def _in_float16(node: Node) -> Node:
    a = node.attributes
    if isinstance(a, Quant) and a.added is None:  # else it reads integers
        return attrs.evolve(node, attributes=attrs.evolve(a, float16=True))
    if isinstance(a, Float16) and a.through is not None and a.through.added is None:
        through = attrs.evolve(a.through, float16=True)
        return attrs.evolve(node, attributes=attrs.evolve(a, through=through))
    return node


def _floats_in_float16(graph: Graph, family: ProcessorFamily) -> Tuple[Graph, Deviation]:
    fact = family.floats_in_fp16
    layers: Tuple[str, ...] = ()
    if fact.value:
        integer = {*quantized_nodes(graph)}
        floats = [n for n in graph.nodes if n not in integer and _makes_floats(graph, n)]
        layers = tuple(node.name for node in floats)
        chosen = set(floats)
        nodes = [attrs.evolve(n, float16=True) if n in chosen else n for n in graph.nodes]
        graph = graph.replace(nodes)
    behaviour = _behaviour(
        fact.value,
        "results rounded to float16",
        "computed in float32",
        "not known; computed in float32",
    )
    open_point = "in which order the sums are taken is not public" if layers else ""
    departs = bool(fact.value)
    return graph, Deviation(
        "floats_in_fp16", "float layers", fact, behaviour, departs, layers, open_point
    )


def _makes_floats(graph: Graph, node: Node) -> bool:
    if isinstance(node.attributes, (Quant, DeQuant, Float16)):
        return False
    readers = [use.node.attributes for value in node.outputs for use in graph.uses(value)]
    if readers and all(isinstance(a, Float16) and a.through is None for a in readers):
        return False  # rolled back: a rounding stands behind it already
    return isinstance(node.attributes, Input) or node.type.makes_values(node)


def _cut_deq_scale(graph: Graph, family: ProcessorFamily) -> Tuple[Graph, Deviation]:
    fact = family.cuts_deq_scale
    layers: Tuple[str, ...] = ()
    if fact.value:
        graph, layers = _with_words(graph, fixpipe.cut)
    behaviour = _behaviour(fact.value, "cut to 19 bits", "not cut to 19 bits", "not known; not cut")
    return graph, Deviation(
        "cuts_deq_scale", "deq_scale", fact, behaviour, bool(fact.value), layers
    )


def _applied_shift(graph: Graph, family: ProcessorFamily) -> Tuple[Graph, Deviation]:
    fact = family.honours_shift_n
    layers: Tuple[str, ...] = ()
    without, searched = _with_words(graph, dequant.without_shift)
    if fact.value is False:
        graph, layers = without, searched
    behaviour = _behaviour(
        fact.value,
        f"applied in {len(searched)} layers as the model says, rounding down",
        "ignored",
        f"not known; applied in {len(searched)} layers, rounding down",
    )
    open_point = "how the processor rounds is not public" if fact.value and searched else ""
    departs = fact.value is False
    return graph, Deviation(
        "honours_shift_n", "shift N", fact, behaviour, departs, layers, open_point
    )


def _with_words(graph: Graph, change: Callable[[Words], Words]) -> Tuple[Graph, Tuple[str, ...]]:
    """Return the graph with other DeQuant words, and the DeQuants that this made others."""
    nodes, changed = [], []
    for node in graph.nodes:
        if isinstance(node.attributes, DeQuant) and node.weights:
            words = change(node.weights[0])
            if not np.array_equal(words, node.weights[0]):
                changed.append(node.name)
                node = attrs.evolve(node, weights=(words,))
        nodes.append(node)
    return graph.replace(nodes), tuple(changed)


def _behaviour(value: object, yes: str, no: str, unknown: str) -> str:
    return unknown if value is None else yes if value else no
