"""What a network gives with one layer at a time computed otherwise, and the error of that.

Batch by batch: the unchanged network runs once, and each change from its layer on.  So the memory
needed is that of all activations of one batch that some change reads, whatever the number of
samples and of layers; an activation is dropped when the last change has read it.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, Mapping, Sequence, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import ModelError
from amct_core.graph import Graph, Value
from amct_core.graph.deployed_layers import DeployedLayer
from amct_core.ptq.engine import Batch, Engine, Runner
from cpu_sim_backend.ptq.changed_layer import ChangedLayer, all_fed, float_alone, quantized_alone

Array = NDArray[Any]


@attrs.frozen
class SquaredError:
    """The difference between two results.

    Attributes:
        total: the sum of squared differences.
        values: of how many.
    """

    total: float = 0.0
    values: int = 0

    @property
    def mean(self) -> float:
        """The mean squared error; 0 of nothing."""
        return self.total / self.values if self.values else 0.0

    def __add__(self, other: SquaredError) -> SquaredError:
        return SquaredError(self.total + other.total, self.values + other.values)


def squared_error(
    reference: Mapping[Value, Array], found: Mapping[Value, Array], values: Sequence[Value]
) -> SquaredError:
    """Return the squared error of ``values`` together; differences are taken in float64.

    Raises:
        ModelError: a value has another shape than in the reference.
    """
    total, count = 0.0, 0
    for value in values:
        x, y = np.asarray(reference[value]), np.asarray(found[value])
        if x.shape != y.shape:
            raise ModelError(
                f"blob '{value.name}' has shape {y.shape} with quantized layers, and {x.shape} in "
                "float; expected the same, to compare both.",
                remedy="Compare a network that ends before the number of results depends on them.",
            )
        total += float(np.square(y.astype(np.float64) - x.astype(np.float64)).sum())
        count += x.size
    return SquaredError(total, count)


@attrs.define(eq=False)
class ChangedNetwork:
    """A network and changes of single layers, ready to run.

    Attributes:
        changes: of one layer each, in network order.
        values: what is compared.
        engine: runs the network and the changed parts.
    """

    changes: Tuple[ChangedLayer, ...]
    values: Tuple[Value, ...]
    engine: Engine
    _runner: Runner

    @classmethod
    def of(
        cls,
        graph: Graph,
        changes: Sequence[ChangedLayer],
        values: Sequence[Value],
        engine: Engine,
    ) -> ChangedNetwork:
        """Return the network ``graph`` with ``changes``, of which ``values`` are wanted."""
        wanted = tuple(dict.fromkeys((*values, *all_fed(changes))))
        return cls(tuple(changes), tuple(values), engine, engine.prepare(graph, wanted))

    def unchanged(self, batch: Batch) -> Dict[Value, Array]:
        """Return the values of the unchanged network: those compared, and those that are fed."""
        return dict(self._runner(batch))

    def compared(self, values: Mapping[Value, Array]) -> Dict[Value, Array]:
        """Return those of ``values`` that are compared."""
        return {value: values[value] for value in self.values}

    def errors(
        self, unchanged: Dict[Value, Array], reference: Mapping[Value, Array]
    ) -> Iterator[Tuple[str, SquaredError]]:
        """Yield the name of each changed layer, and the error of the compared values with it.

        Args:
            unchanged: see :meth:`each`.
            reference: what the compared values should be.
        """
        for name, found in self.each(unchanged):
            yield name, squared_error(reference, found, self.values)

    def own_errors(self, unchanged: Dict[Value, Array]) -> Iterator[Tuple[str, SquaredError]]:
        """Yield the name of each changed layer, and the error of those values that it changes.

        Args:
            unchanged: what they should be; see :meth:`each`.
        """
        reference = self.compared(unchanged)
        for change, (name, found) in zip(self.changes, self.each(unchanged)):
            yield name, squared_error(reference, found, tuple(change.values))

    def each(self, unchanged: Dict[Value, Array]) -> Iterator[Tuple[str, Dict[Value, Array]]]:
        """Yield the name of each changed layer, and what the compared values are with it.

        Args:
            unchanged: of a batch; what no further change reads is taken out on the way.
        """
        own = self.compared(unchanged)
        readers = all_fed(self.changes)
        for change in self.changes:
            found = dict(own)
            if change.values:
                batch = {blob: unchanged[value] for blob, value in change.fed.items()}
                run = self.engine.prepare(change.part, tuple(change.values.values()))
                results = run(batch)
                found.update({value: results[inner] for value, inner in change.values.items()})
            for value in change.fed.values():
                readers[value] -= 1
                if not readers[value]:
                    unchanged.pop(value)
            yield change.name, found


def layers_quantized_alone(
    graph: Graph, layers: Sequence[DeployedLayer], values: Sequence[Value], engine: Engine
) -> ChangedNetwork:
    """Return the float network ``graph`` with each of ``layers`` alone in integers."""
    changes = [quantized_alone(graph, layer, values) for layer in layers]
    return ChangedNetwork.of(graph, changes, values, engine)


def outputs_of_layers_quantized_alone(
    graph: Graph, layers: Sequence[DeployedLayer], engine: Engine
) -> ChangedNetwork:
    """Return the same, with what each layer itself gives; so each part is that one layer."""
    outputs = [graph.node(layer.name).outputs for layer in layers]
    changes = [quantized_alone(graph, layer, own) for layer, own in zip(layers, outputs)]
    return ChangedNetwork.of(graph, changes, [value for own in outputs for value in own], engine)


def layers_float_alone(
    graph: Graph,
    reference: Graph,
    layers: Sequence[DeployedLayer],
    values: Sequence[Value],
    engine: Engine,
) -> ChangedNetwork:
    """Return the deployable network ``graph`` with each of ``layers`` alone as in ``reference``."""
    changes = [float_alone(graph, layer, reference.node(layer.name), values) for layer in layers]
    return ChangedNetwork.of(graph, changes, values, engine)
