"""Runs a float and an integer network over the same samples, batch by batch.

Three things are run per batch: the float network; the integer network from the inputs on; and each
quantized layer alone, between its Quant and its DeQuant, on the float network's values.  Memory
does not grow with the data.
"""

from __future__ import annotations

import math
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.graph import Graph, Node, Value
from amct_core.graph.attributes import Input
from amct_core.graph.deployed_layers import DeployedLayer
from amct_core.graph.shapes import infer_shapes
from cpu_sim_backend.analysis.float32 import in_float32
from cpu_sim_backend.analysis.tallies import (
    AccumulatorTally,
    ActivationTally,
    DecisionTally,
    SimilarityTally,
)
from cpu_sim_backend.data.source import DataSource
from cpu_sim_backend.execution import told_with
from cpu_sim_backend.progress import progress
from cpu_sim_backend.simulator import Simulator

Array = NDArray[Any]
_MEMORY = 400 * 2**20
"""Bytes that the values of one batch may take, about."""
_MOST = 100
"""Samples per batch, at most."""
_ALONE, _OUTPUT = "float input", "float output"


@attrs.define(eq=False)
class LayerTally:
    """What is counted of one quantized layer.

    Attributes:
        activation: shared by the layers that read one Quant.
    """

    layer: DeployedLayer
    activation: ActivationTally
    accumulators: AccumulatorTally
    alone: SimilarityTally = attrs.field(factory=SimilarityTally)
    accumulated: SimilarityTally = attrs.field(factory=SimilarityTally)


@attrs.define(eq=False)
class OutputTally:
    """What is counted of one output of the network."""

    similarity: SimilarityTally = attrs.field(factory=SimilarityTally)
    decisions: DecisionTally = attrs.field(factory=DecisionTally)


@attrs.frozen(eq=False)
class Measured:
    """What a run has counted.

    Attributes:
        samples: rows of the network's first input.
        batch_size: samples of one batch, at most.
        layers: by name, in network order.
        outputs: by blob.
    """

    samples: int
    batch_size: int
    layers: Mapping[str, LayerTally]
    outputs: Mapping[str, OutputTally]


def measure(
    simulator: Simulator, reference: Graph, data: DataSource, batch_size: Optional[int] = None
) -> Measured:
    """Run both networks over ``data``.

    Args:
        simulator: the integer network.
        reference: the float network in its form: :func:`.float_graph.float_graph`.
        data: one array per network input.
        batch_size: samples per batch, at most; None: as many as need not much memory.

    Raises:
        AmctError: data do not fit, a layer cannot be run, or a value is NaN or infinite.
    """
    size = batch_size or affordable_batch(reference, simulator.inputs)
    batches = simulator.batches(data, size)
    run = _Run.of(simulator, reference)
    for batch in progress(batches, batches.samples, "analysing"):
        run.add(batch)
    return Measured(batches.samples, size, run.layers, run.outputs)


def affordable_batch(graph: Graph, inputs: Mapping[str, Tuple[int, ...]]) -> int:
    """Return for how many samples the values of a network take little memory."""
    shapes = infer_shapes(graph, {blob: (1, *shape[1:]) for blob, shape in inputs.items()})
    bytes_of_sample = 4 * sum(math.prod(shape) for shape in shapes.values())
    return max(1, min(_MOST, _MEMORY // max(bytes_of_sample, 1)))


@attrs.define(eq=False)
class _Run:
    """A run under way."""

    simulator: Simulator
    reference: Simulator
    layers: Dict[str, LayerTally]
    outputs: Dict[str, OutputTally]
    _alone: Dict[str, Simulator] = attrs.field(factory=dict)

    @classmethod
    def of(cls, simulator: Simulator, reference: Graph) -> _Run:
        activations: Dict[str, ActivationTally] = {}
        layers: Dict[str, LayerTally] = {}
        for layer in simulator.quantized_layers:
            scale = float(np.float32(1) / layer.quant_scale)
            activation = activations.setdefault(
                layer.quant.name, ActivationTally(scale, layer.offset)
            )
            layers[layer.name] = LayerTally(layer, activation, AccumulatorTally(layer.shift_n))
        return cls(
            simulator,
            # What the fast engine is faster in, this network does not have.
            Simulator.from_graph(in_float32(reference), "reference"),
            layers,
            {blob: OutputTally() for blob in simulator.outputs},
        )

    def add(self, batch: Mapping[str, Array]) -> None:
        """Take in one batch."""
        exact = self._float_values(batch)
        self._compare_alone(exact)
        self._compare_all(batch, exact)

    def _float_values(self, batch: Mapping[str, Array]) -> Mapping[Value, Array]:
        wanted: Dict[Value, None] = dict.fromkeys(self._float_outputs().values())
        for node in self._float_nodes():
            wanted.update(dict.fromkeys((*node.inputs[:1], *node.outputs[:1])))
        with np.errstate(invalid="ignore", over="ignore"):  # a Quant behind it tells of it
            return self.reference.run_values(batch, tuple(wanted))

    def _float_nodes(self) -> Iterator[Node]:
        return (self.reference.graph.node(name) for name in self.layers)

    def _float_outputs(self) -> Dict[str, Value]:
        return {blob: self.reference.graph.final_value(blob) for blob in self.outputs}

    def _compare_alone(self, exact: Mapping[Value, Array]) -> None:
        done: List[str] = []
        for tally, node in zip(self.layers.values(), self._float_nodes()):
            x, y = exact[node.inputs[0]], exact[node.outputs[0]]
            graph = self._alone_simulator(tally.layer, x.shape)
            quant, accumulator = tally.layer.integer_blobs
            found = graph.run({_ALONE: x}, [quant, accumulator, _OUTPUT])
            tally.alone.add(y, found[_OUTPUT])
            tally.accumulators.add(found[accumulator])
            if tally.layer.quant.name not in done:
                with told_with(tally.layer.name):
                    tally.activation.add(x, found[quant])
                done.append(tally.layer.quant.name)

    def _alone_simulator(self, layer: DeployedLayer, shape: Tuple[int, ...]) -> Simulator:
        """Return what computes ``layer`` alone; that for the last shape is kept."""
        found = self._alone.get(layer.name)
        if found is None or found.inputs[_ALONE][1:] != shape[1:]:
            graph = layer_alone(layer, shape)
            found = self._alone[layer.name] = Simulator.from_graph(graph, self.simulator.engine)
        return found

    def _compare_all(self, batch: Mapping[str, Array], exact: Mapping[Value, Array]) -> None:
        behind = {name: tally.layer.dequant.outputs[0] for name, tally in self.layers.items()}
        finals = {blob: self.simulator.graph.final_value(blob) for blob in self.outputs}
        wanted = tuple(dict.fromkeys((*behind.values(), *finals.values())))
        found = self.simulator.run_values(batch, wanted)
        for (name, tally), node in zip(self.layers.items(), self._float_nodes()):
            tally.accumulated.add(exact[node.outputs[0]], found[behind[name]])
        for blob, value in self._float_outputs().items():
            x, y = exact[value], found[finals[blob]]
            self.outputs[blob].similarity.add(x, y)
            self.outputs[blob].decisions.add(x, y)


def layer_alone(layer: DeployedLayer, shape: Tuple[int, ...]) -> Graph:
    """Return a network of one quantized layer between its Quant and its DeQuant."""
    nodes = [
        Node("input", "Input", (), (_ALONE,), Input((shape,))),
        attrs.evolve(layer.quant, bottoms=(_ALONE,)),
        layer.node,
        attrs.evolve(layer.dequant, tops=(_OUTPUT,)),
    ]
    return Graph(layer.name, nodes)
