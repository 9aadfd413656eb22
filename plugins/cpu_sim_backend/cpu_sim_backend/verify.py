"""Compares the simulation of a deployable model with a fake-quant model, or with another engine."""

from __future__ import annotations

import logging
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple, Union

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.accumulator_parts import accumulator_parts, weights_of_part
from amct_core.errors import ConfigError, EnvironmentUnsuitableError, ModelError
from amct_core.extensions.frontend import Executor, Factors
from amct_core.file_names import deploy_files, fake_quant_files
from amct_core.graph import Node
from amct_core.graph.deployed_layers import DeployedLayer
from amct_core.numerics import exactness
from amct_core.plugins import registries
from amct_core.workflow import frontend_for
from cpu_sim_backend.counterparts import (
    Counterpart,
    EngineCounterpart,
    FrameworkCounterpart,
    LayerIntegers,
)
from cpu_sim_backend.data import ArraySource, DataSource
from cpu_sim_backend.factors import deployed_factors, differences
from cpu_sim_backend.magnitude import largest_partial_sum
from cpu_sim_backend.progress import progress
from cpu_sim_backend.report import LayerReport, OutputReport, VerifyReport
from cpu_sim_backend.simulator import Simulator

Array = NDArray[Any]
_TOLERANCE = 1e-6
_OF_SAMPLES = ("input", "accumulator")
_log = logging.getLogger("cpu_sim_backend.verify")

AGAINST = ("framework", "reference")
"""What the simulation can be compared with."""


def verify(
    save_path: str,
    data: Union[DataSource, Mapping[str, Array]],
    batch_size: int = 100,
    engine: str = "auto",
    against: Optional[str] = None,
) -> VerifyReport:
    """Compare the simulation of the model saved under ``save_path`` with its counterpart.

    The counterpart is the fake-quant model in its framework.  Where the framework cannot run, it is
    the deployable model in the reference engine, with a warning; the simulation is that of the fast
    engine then.

    The factors that both models store (scales, offsets, N, biases) must be equal.  Each quantized
    layer is computed on the integers that the counterpart gave it, and its accumulators must not
    differ in one place.  Beside it the simulation runs freely from the
    inputs of the network; its int8 values must not differ either, except in layers with a float
    layer upstream whose order of additions a BLAS decides, or that a math library computes
    otherwise than ours (a float convolution, Softmax): those are named.  Outputs behind such a
    layer count as different beyond 1e-6 of the blob's largest magnitude.  Between the engines every
    bit counts.

    Args:
        save_path: folder and prefix of the saved model.
        data: one array per network input, by blob name; all of the same length, in memory or in a
            file.
        batch_size: samples per batch; memory grows with it, not with the data.
        engine: of the simulation, one of :data:`cpu_sim_backend.engines.ENGINES`.
        against: ``framework``, ``reference``, or None: the framework if it can run.

    Raises:
        ConfigError: an engine would be compared with itself.
        EnvironmentUnsuitableError: what is asked for is not installed.
        AmctError: a model cannot be read or run.
    """
    if against not in (None, *AGAINST):
        raise ConfigError(
            f"it is {against!r}; expected one of {', '.join(AGAINST)}.", field="against"
        )
    files = deploy_files(save_path)
    if against != "reference":
        model = fake_quant_files(save_path).model
        frontend = frontend_for(files[0] if against is None else model, registries())
        try:
            executor = frontend.fake_quant_executor(save_path)
        except EnvironmentUnsuitableError as error:
            if against == "framework":
                raise
            _log.warning(
                "the fake-quant model cannot run here (%s); the deployable model is compared "
                "between the reference engine and the fast engine instead",
                error.problem.rstrip("."),
            )
        else:
            simulator = Simulator(*files, engine)
            name = frontend.name.capitalize()
            other = FrameworkCounterpart(
                executor, simulator.quantized_layers, simulator.outputs, name
            )
            return compare(other, simulator, data, batch_size)
    simulator = Simulator(*files, "fast" if engine == "auto" else engine)
    engines = EngineCounterpart(Simulator(*files, "reference"), simulator)
    return compare(engines, simulator, data, batch_size)


def compare(
    other: Union[Executor, Counterpart],
    simulator: Simulator,
    data: Union[DataSource, Mapping[str, Array]],
    batch_size: int = 100,
) -> VerifyReport:
    """Compare a simulator with a loaded fake-quant model or engine; see :func:`verify`."""
    if isinstance(other, Executor):
        other = FrameworkCounterpart(other, simulator.quantized_layers, simulator.outputs)
    source = data if isinstance(data, DataSource) else ArraySource(data)
    samples, start = source.samples, 0
    layers = [_LayerComparison.of(simulator, each, other) for each in simulator.quantized_layers]
    outputs = [_OutputComparison.of(simulator, blob, other) for blob in simulator.outputs]
    blobs = sorted({*simulator.integer_blobs, *simulator.outputs})
    for batch in progress(source.read(batch_size), samples, "comparing"):
        simulated = simulator.run(batch, blobs)
        found = other.run(batch)
        for layer in layers:
            layer.observe(simulated, found.layers[layer.layer.name], start)
        for output in outputs:
            output.observe(simulated, found.outputs)
        start += len(next(iter(batch.values())))
    factors = other.factors()
    for layer in layers:
        layer.compare_factors(factors)
        layer.name_sample(source.files)
    return VerifyReport(
        samples,
        tuple(layer.report() for layer in layers),
        tuple(output.report() for output in outputs),
        f"{other.description} with the {simulator.engine} engine",
    )


@attrs.define
class _LayerComparison:
    """Counts the differences of one quantized layer, batch after batch."""

    simulator: Simulator
    layer: DeployedLayer
    static_bound: int
    in_float32: bool
    inexact_upstream: Tuple[str, ...]
    input_mismatches: int = 0
    accumulator_mismatches: int = 0
    factor_mismatches: int = 0
    saturated: int = 0
    data_bound: int = 0
    largest: int = 0
    first: Optional[Dict[str, Any]] = None

    @classmethod
    def of(cls, simulator: Simulator, layer: DeployedLayer, other: Counterpart) -> _LayerComparison:
        parts = accumulator_parts(layer.node.type.weights, layer.weights, layer.offset)
        bound = _static_bound(layer.node, layer.offset, parts)
        blob = layer.quant.bottoms[0]
        inexact = () if other.same_floats else simulator.inexact_layers(blob, other.follows)
        return cls(simulator, layer, bound, other.sums_in_float32, inexact)

    def compare_factors(self, framework: Factors) -> None:
        """Count the stored factors that differ; the first of them is what the report names."""
        found = list(differences(deployed_factors(self.layer), framework))
        self.factor_mismatches = sum(difference.count for difference in found)
        if found:
            self.first = {
                "where": found[0].field,
                "index": [found[0].channel],
                "simulated": found[0].simulated,
                "framework": found[0].framework,
            }

    def observe(self, simulated: Mapping[str, Array], framework: LayerIntegers, start: int) -> None:
        q, accumulator = (simulated[blob] for blob in self.layer.integer_blobs)
        different = self._count("input", q, framework.q, start)
        self.input_mismatches += different
        if different:
            # The layer itself is judged on the inputs that the framework's had.
            q = np.clip(np.rint(framework.q), -128, 127).astype(np.int8)
            accumulator = self.simulator.accumulators(self.layer.name, q)
        self.accumulator_mismatches += self._count(
            "accumulator", accumulator, framework.accumulator, start
        )
        self._observe_range(q, accumulator)

    def _observe_range(self, q: Array, accumulator: Array) -> None:
        self._count_saturation(accumulator)
        extremes = (int(accumulator.min(initial=0)), int(accumulator.max(initial=0)))
        self.largest = max(self.largest, *map(abs, extremes))
        if self.static_bound >= exactness.EXACT_LIMIT:
            magnitude = np.abs(q.astype(np.int32) - self.layer.offset)
            self.data_bound = max(self.data_bound, largest_partial_sum(self.layer.node, magnitude))

    def name_sample(self, files: Optional[Sequence[str]]) -> None:
        """Say which file the first difference is in, where each sample has one."""
        if self.first is None or files is None or self.first["where"] not in _OF_SAMPLES:
            return
        # A layer that turns a batch into fewer or more rows has no sample on its first axis.
        if self.first["index"][0] < len(files):
            self.first["sample"] = files[self.first["index"][0]]

    def _count(self, what: str, mine: Array, theirs: Array, start: int) -> int:
        if mine.shape != theirs.shape:
            raise ModelError(
                f"the {what} has shape {mine.shape} in the simulation and {theirs.shape} in the "
                "framework.",
                layer=self.layer.name,
                remedy="Save the model again; the two files do not belong together.",
            )
        different = mine != theirs
        count = int(np.count_nonzero(different))
        if count and self.first is None:
            at = tuple(int(i) for i in np.argwhere(different)[0])
            self.first = {
                "where": what,
                "index": [at[0] + start, *at[1:]],
                "simulated": int(mine[at]),
                "framework": float(theirs[at]),
            }
        return count

    def _count_saturation(self, accumulator: Array) -> None:
        shift_n = self.layer.shift_n
        if shift_n.any():
            along = (1, -1) + (1,) * (accumulator.ndim - 2)
            shifted = accumulator >> shift_n.astype(np.int32).reshape(along)
            self.saturated += int(np.count_nonzero((shifted < -32768) | (shifted > 32767)))

    def report(self) -> LayerReport:
        proven_statically = self.static_bound < exactness.EXACT_LIMIT
        bound = self.static_bound if proven_statically else self.data_bound
        return LayerReport(
            name=self.layer.name,
            input_int8_mismatches=self.input_mismatches,
            accumulator_mismatches=self.accumulator_mismatches,
            max_abs_partial_sum_bound=bound,
            int16_saturated=self.saturated,
            first_difference=self.first,
            inexact_upstream=self.inexact_upstream,
            factor_mismatches=self.factor_mismatches,
            max_abs_accumulator=self.largest,
            in_float32=self.in_float32,
        )


def _static_bound(node: Node, offset: int, parts: Sequence[slice]) -> int:
    axes, quantization = node.type.weights, node.type.quantization
    if axes is None:
        divisor = quantization.divisor if quantization is not None else None
        summed = 1 if divisor is None else divisor(node)
        return summed * max(abs(-128 - offset), abs(127 - offset))
    weights = [node.weights[0]]
    if len(parts) > 1:
        weights = [weights_of_part(axes, node.weights[0], part) for part in parts]
    return max(int(exactness.partial_sum_bound(own, offset, axes.output).max()) for own in weights)


@attrs.define
class _OutputComparison:
    """Counts the differences of one network output."""

    blob: str
    exact: bool
    mismatches: int = 0

    @classmethod
    def of(cls, simulator: Simulator, blob: str, other: Counterpart) -> _OutputComparison:
        inexact = () if other.same_floats else simulator.inexact_layers(blob, other.follows)
        return cls(blob, not inexact)

    def observe(self, simulated: Mapping[str, Array], framework: Mapping[str, Array]) -> None:
        mine, theirs = simulated[self.blob], framework[self.blob]
        if mine.shape != theirs.shape:
            raise ModelError(
                f"output '{self.blob}' has shape {mine.shape} in the simulation and {theirs.shape} "
                "in the framework.",
                remedy="Save the model again; the two files do not belong together.",
            )
        if self.exact:
            different = mine != theirs
        else:
            # By the blob's size, not the value's: a sum whose terms cancel has no correct digits.
            allowed = _TOLERANCE * np.abs(theirs).max(initial=0)
            different = ~(np.abs(mine - theirs) <= allowed)
        self.mismatches += int(np.count_nonzero(different))

    def report(self) -> OutputReport:
        return OutputReport(self.blob, self.mismatches)
