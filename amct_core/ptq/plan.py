"""Decides, without touching the network, what is calibrated and how its weights are quantized."""

from __future__ import annotations

import contextlib
from typing import Dict, Iterator, Mapping, Optional, Tuple

import attrs

from amct_core.config.ptq import PtqActivation, PtqConfig
from amct_core.errors import AmctError, QuantizationError
from amct_core.graph import Graph, Value
from amct_core.plugins import Registries
from amct_core.record import LayerRecord, Record
from amct_core.weight_quantization import IntegerWeights, quantize_weights


@attrs.frozen(eq=False)
class CalibrationGroup:
    """One blob that is calibrated, and the quantized layers that read it with equal parameters.

    Attributes:
        value: the blob.
        layers: names, in network order; the group is named after the first.
        activation: how its factors are found.
    """

    value: Value
    layers: Tuple[str, ...]
    activation: PtqActivation

    @property
    def name(self) -> str:
        """The name of the first layer."""
        return self.layers[0]


@contextlib.contextmanager
def naming_layers(group: CalibrationGroup) -> Iterator[None]:
    """Make errors of what is inside name the layers of ``group``."""
    try:
        yield
    except AmctError as error:
        raise error.at(layer=", ".join(group.layers)) from error


@attrs.frozen(eq=False)
class CalibrationPlan:
    """Everything that a calibration needs.

    Attributes:
        graph: the fused network, with float32 weights.
        groups: what is calibrated, in network order.
        weights: by layer, for the quantized layers that have weights.
        config: the configuration.
        record_file: absolute path of the record.
        inputs_folder: where calibration keeps what each group reads, batch by batch
            (:mod:`amct_core.ptq.kept_batches`); None: it keeps nothing.
    """

    graph: Graph
    groups: Tuple[CalibrationGroup, ...]
    weights: Mapping[str, IntegerWeights]
    config: PtqConfig
    record_file: str
    inputs_folder: Optional[str] = None

    def fake_quantized(self) -> Graph:
        """Return the graph that is calibrated: quantized weights, float again, where there are."""
        return self.graph.replace(
            node
            if node.name not in self.weights
            else attrs.evolve(
                node, weights=(self.weights[node.name].fake_quantized(), *node.weights[1:])
            )
            for node in self.graph.nodes
        )

    def record(self) -> Record:
        """Return a record with the factors of the weights; those of activations are missing."""
        entries: Dict[str, LayerRecord] = {}
        for node in self.graph.nodes:
            if node.name in self.config.enabled:
                weights = self.weights.get(node.name)
                scales = () if weights is None else tuple(weights.scale_w)
                entries[node.name] = LayerRecord(scale_w=scales, offset_w=(0,) * len(scales))
        return Record(entries)


def make_plan(
    graph: Graph, config: PtqConfig, record_file: str, plugins: Registries
) -> CalibrationPlan:
    """Return what has to be calibrated for the enabled layers of ``config``.

    Args:
        graph: the fused network.
        config: checked against it, with ``channel_wise`` said for every layer.
        record_file: absolute path of the record.
        plugins: the weight algorithms.

    Raises:
        QuantizationError: weights that cannot be quantized.
    """
    weights: Dict[str, IntegerWeights] = {}
    groups: Dict[Tuple[Value, PtqActivation], Tuple[str, ...]] = {}
    for node in graph.nodes:
        layer = config.enabled.get(node.name)
        if layer is None:
            continue
        key = node.inputs[0], layer.activation
        groups[key] = (*groups.get(key, ()), node.name)
        if node.type.weights is None or layer.weight is None:
            continue
        try:
            weights[node.name] = quantize_weights(
                node.weights[0],
                plugins.weight_algorithms.get(layer.weight.algorithm).bound({}, layer=node.name),
                node.type.weights.output,
                bool(layer.weight.channel_wise),
                layer=node.name,
            )
        except QuantizationError as error:
            raise error.at(file=graph.file, layer=node.name) from error
    return CalibrationPlan(
        graph=graph,
        groups=tuple(
            CalibrationGroup(value, names, activation)
            for (value, activation), names in groups.items()
        ),
        weights=weights,
        config=config,
        record_file=record_file,
    )
