"""What each quantized layer alone costs: as the only one in int8, and as the only one in float.

Both are mean squared errors of the network's outputs against the float network; where an output is
that of a Softmax, its input (the logits) is compared.  With several outputs, all their values count
alike.

*Alone quantized*: the float network with one layer in int8, between its Quant and its DeQuant.
*Alone left float*: the integer network with one layer in float, with its float weights.  What is
not behind the layer is computed once for all layers: per batch both networks run once, and then
each layer from where it stands.  Numbers are, to the last bit, those of running each network whole.

These are measured on a few samples.  A layer that clips may cost next to nothing on most samples
and much on a few, which a small sample lacks.  So for each layer the error of its *own* output,
alone quantized, is measured on all data, which costs about two passes through the float network;
the error that is *alone quantized* on the sample is multiplied by the mean of the own error over
all data, over its mean on the sample (a ratio estimate: Cochran, Sampling Techniques, 1977, chapter
6).  *Alone left float* is that of the sample.

Memory is that of the activations of one batch: those of one of both networks at a time.

Where the network was trained after it was quantized, its int8 weights are not rounded float weights
but other ones, and errors tell what training changed as well.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, Iterator, Mapping, Sequence, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import ConfigError
from amct_core.extensions import Role
from amct_core.graph import Graph
from amct_core.graph.attributes import Data
from amct_core.graph.deployed_layers import deployed_layers
from amct_core.ptq.engine import Batch
from cpu_sim_backend.analysis.float_network import float_counterpart, logits, same_values
from cpu_sim_backend.analysis.model import SensitivityReport
from cpu_sim_backend.ptq.engine import SimulatorEngine
from cpu_sim_backend.ptq.output_errors import (
    ChangedNetwork,
    SquaredError,
    layers_float_alone,
    layers_quantized_alone,
    outputs_of_layers_quantized_alone,
    squared_error,
)

Array = NDArray[Any]

SAMPLES = 112
"""How many samples networks run on unless somebody asks for more: see ``benchmarks/notes.md``."""

MOST_SAMPLES = 256
"""How many are worth it, of many data: see ``benchmarks/sensitivity.py``."""


def samples_for(total: int) -> int:
    """Return on how many of ``total`` samples networks should run: a sixteenth, 112 to 256."""
    return min(max(total // 16, SAMPLES), MOST_SAMPLES)


Progress = Callable[[Iterable[int], int], Iterable[int]]
"""``(steps, total) -> steps``: told how many of ``total`` each step has done."""


def _quiet(steps: Iterable[int], total: int) -> Iterable[int]:
    return steps


@attrs.frozen
class Sensitivities:
    """What was measured.

    Attributes:
        layers: by quantized layer, in network order.
        samples: on how many samples.
        scaled_to: to how many the errors alone quantized are scaled: all that were given.
        all_quantized: the error of the whole integer network on the samples, which those of a layer
            alone left float are to be compared with.
    """

    layers: Mapping[str, SensitivityReport]
    samples: int
    scaled_to: int
    all_quantized: float = 0.0

    def ranking(self) -> Tuple[str, ...]:
        """Return the layers, the one that costs most alone quantized first."""
        return tuple(sorted(self.layers, key=lambda name: -self.layers[name].quantized_alone))


@attrs.frozen(eq=False)
class SensitivityNetworks:
    """Both networks of a measurement, ready to run.

    Attributes:
        quantized_alone: the float network, with each quantized layer alone in int8.
        float_alone: the deployable network, with each quantized layer alone in float.
        own_output: the float network, with what each quantized layer alone in int8 gives itself.
        constants: inputs that the network gives itself.
        divisible: whether a batch can be divided.
    """

    quantized_alone: ChangedNetwork
    float_alone: ChangedNetwork
    own_output: ChangedNetwork
    constants: Mapping[str, Array]
    divisible: bool

    @classmethod
    def of(cls, float_graph: Graph, deployed: Graph, engine: str = "auto") -> SensitivityNetworks:
        """Return what :func:`measure_sensitivity` runs.

        Raises:
            ModelError: ``float_graph`` is not the float network of ``deployed``.
        """
        graph = float_counterpart(float_graph, deployed)
        layers = tuple(deployed_layers(deployed).values())
        values = logits(deployed)
        own, runs = same_values(deployed, graph, values), SimulatorEngine(engine)
        constants = _constants(deployed)
        whole = any(node.type.needs_whole_batch for node in deployed.nodes)
        return cls(
            layers_quantized_alone(graph, layers, own, runs),
            layers_float_alone(deployed, graph, layers, values, runs),
            outputs_of_layers_quantized_alone(graph, layers, runs),
            constants,
            not (whole or constants),
        )


def measure_sensitivity(
    float_graph: Graph,
    deployed: Graph,
    batches: Iterable[Batch],
    *,
    engine: str = "auto",
    samples: int = SAMPLES,
    progress: Progress = _quiet,
) -> Sensitivities:
    """Return what each quantized layer of ``deployed`` costs alone.

    Args:
        float_graph: the float network that it was made of, in testing, with weights: see
            :func:`~cpu_sim_backend.analysis.float_network.read_float_network`.
        deployed: the deployable network.
        batches: float32 arrays by input blob, batch size first.  The size of a batch decides on the
            memory.
        engine: of the simulator: ``reference``, ``fast`` or ``auto``.
        samples: the networks run on the first so many, see :func:`samples_for`; a batch that
            cannot be divided is used as a whole.  All others count by the error of each layer's
            own output.
        progress: goes through the steps, each of which tells how many samples one layer has done.

    Raises:
        ModelError: ``float_graph`` is not the float network of ``deployed``, or an input is
            missing.
        ConfigError: there are no samples.
        QuantizationError: an accumulator leaves the int32 range.
    """
    networks = SensitivityNetworks.of(float_graph, deployed, engine)
    sums = _Sums()
    given = sampled(batches, samples, networks.divisible)
    total = 2 * samples * len(networks.float_alone.changes)
    for _ in progress(_measured(networks, given, sums), total):
        pass
    if not sums.samples:
        raise ConfigError(
            "there are no samples; expected at least one.",
            field="data",
            remedy="Give data for the network's inputs.",
        )
    whole = sums.all_quantized.mean
    return Sensitivities(sums.reports(), sums.samples, sums.all_samples, whole)


@attrs.define
class _Sums:
    """Errors by layer."""

    quantized_alone: Dict[str, SquaredError] = attrs.field(factory=dict)
    float_alone: Dict[str, SquaredError] = attrs.field(factory=dict)
    own_of_sample: Dict[str, SquaredError] = attrs.field(factory=dict)
    own_of_others: Dict[str, SquaredError] = attrs.field(factory=dict)
    all_quantized: SquaredError = attrs.field(factory=SquaredError)
    samples: int = 0
    all_samples: int = 0

    def reports(self) -> Dict[str, SensitivityReport]:
        return {
            name: SensitivityReport(error.mean * self._scale(name), self.float_alone[name].mean)
            for name, error in self.quantized_alone.items()
        }

    def _scale(self, name: str) -> float:
        """Return the own error over all data, over that on the sample; 1 where that is 0."""
        sample = self.own_of_sample[name]
        if name not in self.own_of_others or not sample.total:
            return 1.0
        return (sample + self.own_of_others[name]).mean / sample.mean


def _measured(
    networks: SensitivityNetworks, batches: Iterable[Tuple[Batch, bool]], sums: _Sums
) -> Iterator[int]:
    """Measure batch by batch; yield, after each layer, for how many samples it is done."""
    for batch, in_sample in batches:
        given, size = {**networks.constants, **batch}, _size(batch)
        sums.all_samples += size
        own = networks.own_output
        for name, error in own.own_errors(own.unchanged(given)):
            _add(sums.own_of_sample if in_sample else sums.own_of_others, name, error)
            yield 0
        if in_sample:
            sums.samples += size
            for _ in _measured_to_the_end(networks, given, sums):
                yield size


def _measured_to_the_end(
    networks: SensitivityNetworks, batch: Batch, sums: _Sums
) -> Iterator[None]:
    in_float, in_int8 = networks.quantized_alone, networks.float_alone
    unchanged = in_float.unchanged(batch)
    reference = in_float.compared(unchanged)
    for name, error in in_float.errors(unchanged, reference):
        _add(sums.quantized_alone, name, error)
        yield
    reference = dict(zip(in_int8.values, reference.values()))
    unchanged = in_int8.unchanged(batch)
    sums.all_quantized += squared_error(reference, in_int8.compared(unchanged), in_int8.values)
    for name, error in in_int8.errors(unchanged, reference):
        _add(sums.float_alone, name, error)
        yield


def _add(sums: Dict[str, SquaredError], name: str, error: SquaredError) -> None:
    sums[name] = sums.get(name, SquaredError()) + error


def sampled(
    batches: Iterable[Batch], samples: int, divisible: bool
) -> Iterator[Tuple[Batch, bool]]:
    """Yield each batch, and whether it is among the first ``samples``.

    A batch that is in part is divided if that is possible, and if its arrays are as long as each
    other; else all of it is.
    """
    left = samples
    for batch in batches:
        size = _size(batch)
        if 0 < left < size and divisible and len({len(array) for array in batch.values()}) == 1:
            yield {name: array[:left] for name, array in batch.items()}, True
            yield {name: array[left:] for name, array in batch.items()}, False
        else:
            yield batch, left > 0
        left -= size


def _size(batch: Batch) -> int:
    return len(next(iter(batch.values())))


def _constants(graph: Graph) -> Dict[str, Array]:
    """Return the constants that layers of a network give, by blob."""
    found: Dict[str, Array] = {}
    for node in graph.nodes:
        if isinstance(node.attributes, Data) and node.type.role_of(node.source) is Role.CONSTANT:
            assert node.type.run is not None
            found.update(zip(node.tops, node.type.run(node, ())))
    return found


def spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """Return Spearman's rank correlation, -1..1: Pearson's of the ranks, equal values sharing one.

    NaN where all values of one side are equal.

    Source: Spearman, The Proof and Measurement of Association between Two Things, 1904; ties take
    the mean of their ranks, as in Kendall, Rank Correlation Methods, 1948.
    """
    first, second = (_ranks(np.asarray(each, np.float64)) for each in (x, y))
    first, second = first - first.mean(), second - second.mean()
    size = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / size if size else float("nan")


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[inverse]
    return ranks


__all__ = [
    "SAMPLES",
    "Sensitivities",
    "SensitivityNetworks",
    "measure_sensitivity",
    "sampled",
    "samples_for",
    "spearman",
]
