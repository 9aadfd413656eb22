"""Makes a report of the two networks and data."""

from __future__ import annotations

import time
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import attrs

from amct_core.errors import QuantizationError
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import Data, Input
from amct_core.graph.deployed_layers import DeployedLayer
from cpu_sim_backend.analysis.causes import costs_accuracy, find_all
from cpu_sim_backend.analysis.float_graph import float_graph
from cpu_sim_backend.analysis.measuring import LayerTally, Measured, measure
from cpu_sim_backend.analysis.model import (
    Finding,
    GraphNode,
    LayerReport,
    LearnedBounds,
    NetworkReport,
    OutputReport,
)
from cpu_sim_backend.analysis.networks import Networks
from cpu_sim_backend.analysis.processor import on_processor
from cpu_sim_backend.analysis.rules import Case
from cpu_sim_backend.analysis.weights import integer_report, weight_report
from cpu_sim_backend.data.source import DataSource
from cpu_sim_backend.simulator import Simulator

_LISTED = 5
"""Layers that the verdict names."""


@attrs.frozen
class Question:
    """What a report is about, beside the networks.

    Attributes:
        prefix: of the saved model.
        data: where the samples are from, in words.
        batch_size: samples per batch, at most; None: as many as need not much memory.
        engine: of the simulation; see :class:`Simulator`.
        soc_version: a processor whose departures are told; None: none.
        bounds: learned bounds over the iterations, if they are known.
    """

    prefix: str
    data: str
    batch_size: Optional[int] = None
    engine: str = "auto"
    soc_version: Optional[str] = None
    bounds: Tuple[LearnedBounds, ...] = ()


def analyse(networks: Networks, data: DataSource, question: Question) -> NetworkReport:
    """Run both networks over the data; say how close they are, and why not closer.

    Args:
        networks: the integer network and the float network that it was made from.
        data: one array per network input.
        question: what else is wanted.

    Raises:
        AmctError: the networks do not belong together, or one cannot be run on the data.
    """
    start = time.perf_counter()
    deployed = networks.deployed
    reference = float_graph(deployed, networks.original)
    simulator = Simulator.from_graph(deployed, question.engine)
    processor: Dict[str, Tuple[str, ...]] = {}
    if question.soc_version is not None:
        processor = on_processor(deployed, question.soc_version)
    measured = measure(simulator, reference, data, question.batch_size)
    layers = tuple(
        _layer(tally, reference.node(name), processor.get(name, ()))
        for name, tally in measured.layers.items()
    )
    outputs = _outputs(measured)
    findings = find_all(_cases(measured, layers, question.bounds), networks.refused)
    quantized = {layer.name for layer in layers}
    return NetworkReport(
        prefix=question.prefix,
        data=question.data,
        samples=measured.samples,
        verdict=verdict(outputs, findings, measured.samples),
        outputs=outputs,
        layers=layers,
        findings=findings,
        graph=drawn(reference, quantized),
        float_layers=tuple(_float_layers(reference, quantized, networks.refused)),
        float_files=networks.float_files,
        soc_version=question.soc_version,
        bounds=question.bounds,
        seconds=time.perf_counter() - start,
        notes=tuple(_notes(measured, layers, simulator, networks)),
    )


def sharing(layers: Sequence[DeployedLayer]) -> Dict[str, Sequence[str]]:
    """Return by quantized layer those that read its Quant, itself among them."""
    by_quant: Dict[str, List[str]] = {}
    for layer in layers:
        by_quant.setdefault(layer.quant.name, []).append(layer.name)
    return {layer.name: by_quant[layer.quant.name] for layer in layers}


def _layer(tally: LayerTally, original: Node, on: Tuple[str, ...]) -> LayerReport:
    layer = tally.layer
    return LayerReport(
        name=layer.name,
        type=original.op,
        alone=tally.alone.similarity(),
        accumulated=tally.accumulated.similarity(),
        activation=tally.activation.report(layer.quant.bottoms[0]),
        weights=weight_report(layer, original.weights[0]) if original.weights else None,
        integers=integer_report(layer, tally.accumulators),
        on_processor=on,
    )


def _outputs(measured: Measured) -> Tuple[OutputReport, ...]:
    return tuple(
        OutputReport(blob, tally.similarity.similarity(), tally.decisions.share())
        for blob, tally in measured.outputs.items()
    )


def _cases(
    measured: Measured, layers: Sequence[LayerReport], bounds: Sequence[LearnedBounds]
) -> List[Case]:
    learned = {each.layer: each for each in bounds}
    cases = []
    for layer in layers:
        node = measured.layers[layer.name].layer.node
        found = node.type.quantization
        allowed = found is not None and found.allows_channel_wise(node)
        cases.append(Case(layer, allowed, learned.get(layer.name)))
    return cases


def verdict(outputs: Sequence[OutputReport], findings: Sequence[Finding], samples: int) -> str:
    """Return the first line: how close int8 comes to float, and what is in the way."""
    close = "; ".join(_closeness(output) for output in outputs)
    costly = [each for each in findings if costs_accuracy(each)]
    named = [f"{layer} ({cause})" for layer, cause in _first_causes(costly).items()]
    counted = f"{samples} samples" if samples != 1 else "1 sample"
    if not named:
        return f"On {counted} {close}. No layer stands out."
    more = f" and {len(named) - _LISTED} more" if len(named) > _LISTED else ""
    return f"On {counted} {close}. In the way, the worst first: {', '.join(named[:_LISTED])}{more}."


def _closeness(output: OutputReport) -> str:
    snr = f"'{output.blob}' has an SNR of {output.similarity.snr:.1f} dB in int8"
    if output.decisions is None:
        return snr
    return f"int8 decides as float in {100 * output.decisions:.2f} %, and {snr}"


def _first_causes(findings: Sequence[Finding]) -> Dict[str, str]:
    causes: Dict[str, str] = {}
    for each in findings:
        causes.setdefault(each.layer, each.cause)
    return causes


def drawn(graph: Graph, quantized: set[str]) -> Tuple[GraphNode, ...]:
    """Return the layers of a network without Quant and DeQuant, as the page draws it."""
    nodes = []
    for node in graph.nodes:
        makers = [graph.producer(value) for value in node.inputs]
        inputs = tuple(dict.fromkeys(each.name for each in makers if each is not None))
        nodes.append(GraphNode(node.name, node.op, inputs, node.name in quantized))
    return tuple(nodes)


def _float_layers(
    graph: Graph, quantized: set[str], refused: Mapping[str, QuantizationError]
) -> Iterator[Tuple[str, str]]:
    for node in graph.nodes:
        kind = node.type.quantization
        if node.name in quantized or kind is None or isinstance(node.attributes, (Input, Data)):
            continue
        reason = kind.obstacle(node, graph, post_training=True)
        if node.name in refused:
            reason = refused[node.name].problem
        yield node.name, reason or "left in float when it was quantized"


def _notes(
    measured: Measured,
    layers: Sequence[LayerReport],
    simulator: Simulator,
    networks: Networks,
) -> Iterator[str]:
    named = f" ({' with '.join(networks.float_files)})" if networks.float_files else ""
    yield (
        f"The float network{named} ran here, not in its framework, with products in float32; the "
        f"integers are those of the {simulator.engine} engine. Batches of {measured.batch_size} "
        "samples at most."
    )
    yield (
        "A layer alone reads the float network's values; accumulated, all layers before it are in "
        "int8, too. Accumulators are those of the layers alone."
    )
    retrained = [layer.name for layer in layers if layer.weights and layer.weights.retrained]
    if retrained:
        yield (
            f"{len(retrained)} of {len(layers)} layers were quantized with other weights than the "
            "float network has: training has changed them, and the numbers of these layers hold "
            "that, too. With the modified model and its snapshot as --float they are those of "
            "quantization alone."
        )
    if networks.refused:
        yield (
            "The model is not saved, and cannot be: the layers that saving refuses ran in float "
            f"({', '.join(networks.refused)})."
        )
