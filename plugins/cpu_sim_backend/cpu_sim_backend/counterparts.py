"""What the simulation is compared with: a fake-quant model in its framework, or another engine."""

from __future__ import annotations

import abc
from typing import Any, Dict, Iterable, Mapping, Sequence, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.accumulator_parts import accumulator_parts, part_names
from amct_core.errors import ConfigError
from amct_core.extensions.frontend import Executor, Factors, LayerArrays
from amct_core.graph.attributes import Pooling
from amct_core.graph.deployed_layers import DeployedLayer
from amct_core.numerics import pooling
from cpu_sim_backend.factors import deployed_factors
from cpu_sim_backend.simulator import Simulator

Array = NDArray[Any]


@attrs.frozen(eq=False)
class LayerIntegers:
    """What one quantized layer was given and what it made of it, whole numbers of any dtype.

    Attributes:
        q: inputs as its Quant gives them, -128..127 where nothing is wrong.
        accumulator: with the bias; the sums of the windows for an AVE Pooling.
    """

    q: Array
    accumulator: Array

    @property
    def q_as_int8(self) -> NDArray[np.int8]:
        """The inputs as int8, whatever is wrong with them."""
        return np.clip(np.rint(self.q), -128, 127).astype(np.int8)


@attrs.frozen(eq=False)
class Observation:
    """One batch.

    Attributes:
        layers: the integers of the quantized layers.
        outputs: the network's outputs, by blob.
        fed: what the layers read and gave that the simulation lacks.
    """

    layers: Mapping[str, LayerIntegers]
    outputs: Mapping[str, Array]
    fed: Mapping[str, LayerArrays] = attrs.field(factory=dict)


class Counterpart(abc.ABC):
    """The other side of a comparison."""

    description: str
    """What it is, in words."""

    sums_in_float32: bool
    """Whether its sums are exact only as long as float32 holds them, below 2**24."""

    same_floats: bool
    """Whether its float layers are to equal the simulation's to the last bit, all of them."""

    @property
    @abc.abstractmethod
    def layers(self) -> Sequence[str]:
        """The quantized layers that it tells of."""

    @abc.abstractmethod
    def run(self, batch: Mapping[str, Array]) -> Observation:
        """Run one batch."""

    @abc.abstractmethod
    def factors(self) -> Factors:
        """Return the factors that it works with, as :meth:`Executor.factors` does."""


class FrameworkCounterpart(Counterpart):
    """The fake-quant model in its framework, which stores integers as float32.

    Args:
        executor: the model, loaded.
        layers: the quantized layers of the deployable network.
        outputs: blobs.
        framework: its name.
        fed: layers whose results the simulation takes from here.
    """

    sums_in_float32 = True
    same_floats = False

    def __init__(
        self,
        executor: Executor,
        layers: Iterable[DeployedLayer],
        outputs: Sequence[str],
        framework: str = "its framework",
        fed: Sequence[str] = (),
    ) -> None:
        self.description = f"fake-quant in {framework}"
        self._executor = executor
        self._outputs = tuple(outputs)
        self._fed = tuple(fed)
        self._layers = [_FrameworkLayer.of(layer) for layer in layers]
        blobs = {blob for layer in self._layers for blob in layer.blobs}
        self._blobs = sorted({*blobs, *self._outputs})

    @property
    def layers(self) -> Sequence[str]:
        """The quantized layers that it was given."""
        return [each.layer.name for each in self._layers]

    def run(self, batch: Mapping[str, Array]) -> Observation:
        """Run one batch in the framework."""
        if self._fed:
            traced = self._executor.trace(batch, self._blobs, self._fed)
            found, fed = traced.blobs, traced.layers
        else:
            found, fed = self._executor.run(batch, self._blobs), {}
        layers = {each.layer.name: each.integers(found) for each in self._layers}
        return Observation(layers, {blob: found[blob] for blob in self._outputs}, fed)

    def factors(self) -> Factors:
        """Return the factors of the fake-quant model."""
        return self._executor.factors()


@attrs.frozen(eq=False)
class _FrameworkLayer:
    """Where the fake-quant model keeps the integers of one layer, and what they lack."""

    layer: DeployedLayer
    parts: Tuple[str, ...]

    @classmethod
    def of(cls, layer: DeployedLayer) -> _FrameworkLayer:
        parts = accumulator_parts(layer.node.type.weights, layer.weights, layer.offset)
        return cls(layer, part_names(layer.accumulator.name, len(parts)))

    @property
    def blobs(self) -> Tuple[str, ...]:
        return (self.layer.quantized.name, *self.parts)

    def integers(self, found: Mapping[str, Array]) -> LayerIntegers:
        """Return what the blobs stand for: Quant gives ``q - offset``, the layer has no bias."""
        q = found[self.layer.quantized.name].astype(np.float64) + self.layer.offset
        total = sum(found[name].astype(np.float64) for name in self.parts)
        return LayerIntegers(q, self._completed(np.asarray(total), q))

    def _completed(self, values: Array, q: Array) -> Array:
        """Return accumulators with their bias, and sums in place of averages."""
        a = self.layer.node.attributes
        if isinstance(a, Pooling):
            assert a.kernel is not None
            height, width = q.shape[2:]
            areas = pooling.window_areas(height, width, a.kernel, a.stride, a.pad, a.ceil_mode)
            sums: Array = np.rint(values * areas)
            return sums
        if self.layer.bias is not None:
            bias = self.layer.bias.astype(np.float64)
            values = values + bias.reshape((1, -1) + (1,) * (values.ndim - 2))
        return values


class EngineCounterpart(Counterpart):
    """The deployable model in another engine.

    Args:
        other: the model in that engine.
        simulator: the model in the engine that is compared with it.

    Raises:
        ConfigError: both are one engine, so that nothing could differ.
    """

    sums_in_float32 = False
    same_floats = True

    def __init__(self, other: Simulator, simulator: Simulator) -> None:
        if other.engine == simulator.engine:
            raise ConfigError(
                f"the {simulator.engine} engine would be compared with itself.",
                field="engine",
                remedy="Choose the fast engine (amct-cpu-sim-backend[fast]), or compare with the "
                "fake-quant model in its framework.",
            )
        self.description = f"the {other.engine} engine"
        self._other = other
        self._blobs = sorted({*other.integer_blobs, *other.outputs})

    @property
    def layers(self) -> Sequence[str]:
        """All quantized layers."""
        return [layer.name for layer in self._other.quantized_layers]

    def run(self, batch: Mapping[str, Array]) -> Observation:
        """Run one batch in the other engine."""
        found = self._other.run(batch, self._blobs)
        layers = {
            layer.name: LayerIntegers(*(found[blob] for blob in layer.integer_blobs))
            for layer in self._other.quantized_layers
        }
        return Observation(layers, {blob: found[blob] for blob in self._other.outputs})

    def factors(self) -> Factors:
        """Return the factors of the model that it was given."""
        found: Dict[str, Mapping[str, Array]] = {}
        for layer in self._other.quantized_layers:
            found.update(deployed_factors(layer))
        return found
