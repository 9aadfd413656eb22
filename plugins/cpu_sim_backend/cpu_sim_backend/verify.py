"""Compares the simulation of a deployable model with a fake-quant model, or with another engine."""

from __future__ import annotations

import logging
import os
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.accumulator_parts import accumulator_parts, weights_of_part
from amct_core.errors import AmctError, ConfigError, EnvironmentUnsuitableError, ModelError
from amct_core.extensions.frontend import Executor, Factors
from amct_core.file_names import fake_quant_files
from amct_core.graph import Node, Value
from amct_core.graph.deployed_layers import DeployedLayer
from amct_core.numerics import exactness
from amct_core.plugins import registries
from amct_core.saved_model import saved_model
from amct_core.workflow import frontend_for
from cpu_sim_backend.counterparts import (
    Counterpart,
    EngineCounterpart,
    FrameworkCounterpart,
    LayerIntegers,
)
from cpu_sim_backend.data import Batches, DataSource
from cpu_sim_backend.engines import require_fast
from cpu_sim_backend.factors import deployed_factors, differences
from cpu_sim_backend.float_comparison import FloatComparison, float_comparisons
from cpu_sim_backend.magnitude import largest_partial_sum
from cpu_sim_backend.mixed_files import mixed_files
from cpu_sim_backend.progress import progress
from cpu_sim_backend.report import LayerReport, VerifyReport
from cpu_sim_backend.simulator import Simulator

Array = NDArray[Any]
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
    model_file: Optional[str] = None,
    backend: Optional[str] = None,
) -> VerifyReport:
    """Compare the simulation of the model saved under ``save_path`` with its counterpart.

    The counterpart is the fake-quant model in its framework.  Where the framework cannot run, it is
    the deployable model in the reference engine, with a warning; the simulation is that of the fast
    engine then.

    Both saved models must have the same quantized layers.  The factors that both store (scales,
    offsets, N, biases) must be equal.  Each quantized layer is computed on the integers that the
    counterpart gave it, and its accumulators must not differ in one place.  Beside it the
    simulation runs freely from the inputs of the network; its int8 values must not differ either,
    except in layers with a float layer upstream whose order of additions a BLAS decides, or that a
    math library computes (a float convolution, Softmax): those are named.  Outputs must agree to
    1e-6 of the blob's largest magnitude, where each layer has the int8 that the counterpart had;
    whether they agree to the last bit is told.

    Files of a model that were not saved together are compared, too, and do not pass.

    What a float layer gives that cannot be simulated is taken from the framework; it is named, and
    what it reads is compared as outputs are.

    Args:
        save_path: folder and prefix of the saved model.
        data: one array per network input, by blob name, in memory or in a file.
        batch_size: samples per batch; memory grows with it, not with the data.  See
            :func:`cpu_sim_backend.data.batches` for inputs that are not as long as each other.
        engine: of the simulation, one of :data:`cpu_sim_backend.engines.ENGINES`.
        against: ``framework``, ``reference``, or None: the framework if it can run.
        model_file: the prototxt of the deployable model, if it is another one than that of
            ``save_path``, such as one edited by hand.
        backend: the deploy backend that has written the deployable model; None: the one that
            recognises its files.

    Raises:
        ConfigError: an engine would be compared with itself.
        EnvironmentUnsuitableError: what is asked for is not installed.
        AmctError: a model cannot be read or run.
    """
    if against not in (None, *AGAINST):
        raise ConfigError(
            f"it is {against!r}; expected one of {', '.join(AGAINST)}.", field="against"
        )
    saved = saved_model(save_path, registries(), model_file, backend)
    mixed = mixed_files(saved)
    fake_quant = fake_quant_files(save_path).model
    if against != "reference":
        if against is None and saved.is_backends_alone:
            raise _no_fake_quant(fake_quant)
        frontend = saved.frontend if against is None else frontend_for(fake_quant, registries())
        try:
            executor = frontend.fake_quant_executor(save_path)
        except ModelError as error:
            raise error if os.path.isfile(fake_quant) else _no_fake_quant(fake_quant) from error
        except EnvironmentUnsuitableError as error:
            if against == "framework":
                raise
            _log.warning(
                "the fake-quant model cannot run here (%s); the deployable model is compared "
                "between the reference engine and the fast engine instead",
                error.problem.rstrip("."),
            )
        else:
            simulator = Simulator.from_saved(saved, engine, feed_unknown=True, check_set=False)
            name = frontend.name.capitalize()
            layers = frontend.fake_quant_layers(save_path)
            other = _in_framework(executor, simulator, layers, name)
            try:
                report = compare(other, simulator, data, batch_size, layers)
            except EnvironmentUnsuitableError as error:
                raise _with_other_way(error) from error
            return attrs.evolve(report, mixed_files=mixed)
    fast = "fast" if engine == "auto" else engine
    if fast == "fast":
        require_fast()
    simulator = Simulator.from_saved(saved, fast, check_set=False)
    engines = EngineCounterpart(
        Simulator.from_saved(saved, "reference", check_set=False), simulator
    )
    layers = None
    if os.path.isfile(fake_quant):
        layers = frontend_for(fake_quant, registries()).fake_quant_layers(save_path)
    report = compare(engines, simulator, data, batch_size, layers)
    return attrs.evolve(report, mixed_files=mixed)


def _no_fake_quant(file: str) -> ModelError:
    return ModelError(
        "there is no such file: no fake-quant model was saved, which the deployable one could be "
        "compared with.",
        file=file,
        remedy="Save both, or compare the engines of the simulator with --against reference.",
    )


def _with_other_way(error: EnvironmentUnsuitableError) -> EnvironmentUnsuitableError:
    """Return the error of a framework that does not run the model, with what works without it."""
    return error.with_more(
        remedy="Or compare the engines of the simulator with --against reference."
    )


def compare(
    other: Union[Executor, Counterpart],
    simulator: Simulator,
    data: Union[DataSource, Mapping[str, Array]],
    batch_size: int = 100,
    fake_quant_layers: Optional[Sequence[str]] = None,
) -> VerifyReport:
    """Compare a simulator with a loaded fake-quant model or engine; see :func:`verify`.

    Args:
        other: the model or engine.
        simulator: the deployable model.
        data, batch_size: as for :func:`verify`.
        fake_quant_layers: the quantized layers of the fake-quant model; None: not known.  Layers
            that only one model has are missing, and only what both have is compared.
    """
    if isinstance(other, Executor):
        other = _in_framework(other, simulator, fake_quant_layers)
    missing = _missing_layers(simulator, fake_quant_layers)
    batches = simulator.batches(data, batch_size)
    report = VerifyReport(
        samples=batches.samples,
        layers=(),
        outputs=(),
        compared=f"{other.description} with the {simulator.engine} engine",
        missing_layers=missing,
        inexact_float_layers=(
            () if other.same_floats else simulator.inexact_float_layers(other.follows)
        ),
        fed_layers=tuple(layer.name for layer in simulator.fed_layers),
    )
    if not missing:
        return _compared(report, other, simulator, batches)
    _log.error(
        "these quantized layers are in one of the two saved models only: %s", ", ".join(missing)
    )
    try:
        return _compared(report, other, simulator, batches)
    except (AmctError, ValueError) as error:
        # Without these layers the rest need not be a network; which ones it lacks is the result.
        _log.error("what both models have cannot be compared: %s", error)
        return report


def _in_framework(
    executor: Executor,
    simulator: Simulator,
    fake_quant_layers: Optional[Sequence[str]],
    name: str = "its framework",
) -> FrameworkCounterpart:
    return FrameworkCounterpart(
        executor,
        _common_layers(simulator, fake_quant_layers),
        [value.name for value in simulator.computed_outputs],
        name,
        [layer.name for layer in simulator.fed_layers],
    )


def _common_layers(simulator: Simulator, others: Optional[Sequence[str]]) -> List[DeployedLayer]:
    layers = simulator.quantized_layers
    return [layer for layer in layers if others is None or layer.name in others]


def _missing_layers(simulator: Simulator, others: Optional[Sequence[str]]) -> Tuple[str, ...]:
    """Return the quantized layers of the other model that this one lacks, then the reverse."""
    if others is None:
        return ()
    own = [layer.name for layer in simulator.quantized_layers]
    return (
        *(name for name in others if name not in own),
        *(name for name in own if name not in others),
    )


def _compared(
    report: VerifyReport,
    other: Counterpart,
    simulator: Simulator,
    batches: Batches,
) -> VerifyReport:
    """Return ``report`` with what the data show."""
    names = set(other.layers)
    layers = [
        _LayerComparison.of(simulator, layer, other)
        for layer in simulator.quantized_layers
        if layer.name in names
    ]
    floats = float_comparisons(simulator, other)
    for batch in progress(batches, batches.samples, "comparing"):
        _observe(simulator, batch, other, layers, floats)
    factors = other.factors()
    for layer in layers:
        layer.compare_factors(factors)
        layer.name_sample(batches.source.files)
    ends = [each.report() for each in floats]
    return attrs.evolve(
        report,
        layers=tuple(layer.report() for layer in layers),
        outputs=tuple(end for end in ends if end.fed_layer is None),
        fed_inputs=tuple(end for end in ends if end.fed_layer is not None),
    )


def _observe(
    simulator: Simulator,
    batch: Mapping[str, Array],
    other: Counterpart,
    layers: Sequence[_LayerComparison],
    floats: Sequence[FloatComparison],
) -> None:
    """Compare one batch."""
    blobs = {blob: simulator.graph.final_value(blob) for blob in simulator.integer_blobs}
    ends = [each.value for each in floats]
    values = [*blobs.values(), *ends]
    fed: Mapping[str, Sequence[Array]] = {}
    # The simulation comes first where it can: what it refuses may end the framework's process.
    if simulator.fed_layers:
        simulator.check_inputs(batch)
        found = other.run(batch)
        fed = {name: arrays.tops for name, arrays in found.fed.items()}
        free = simulator.run_values(batch, values, fed)
    else:
        free = simulator.run_values(batch, values)
        found = other.run(batch)
    by_blob = {blob: free[value] for blob, value in blobs.items()}
    differing = [
        layer for layer in layers if layer.observe(by_blob, found.layers[layer.layer.name])
    ]
    on_integers: Mapping[Value, Array] = free
    if differing and all(layer.inexact_upstream for layer in differing):
        # What may differ must not hide what may not.
        given = {layer.name: by_blob[layer.quantized.name] for layer in simulator.quantized_layers}
        given.update(
            {layer.layer.name: found.layers[layer.layer.name].q_as_int8 for layer in layers}
        )
        on_integers = simulator.run_on_integers(batch, given, ends, fed)
    for each in floats:
        each.observe(found, free[each.value], on_integers[each.value])


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
    rows: Dict[str, int] = attrs.field(factory=lambda: dict.fromkeys(_OF_SAMPLES, 0))

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

    def observe(self, simulated: Mapping[str, Array], framework: LayerIntegers) -> bool:
        """Compare one batch; return whether an int8 input differs."""
        q, accumulator = (simulated[blob] for blob in self.layer.integer_blobs)
        different = self._count("input", q, framework.q)
        self.input_mismatches += different
        if different:
            # The layer itself is judged on the inputs that the framework's had.
            q = framework.q_as_int8
            accumulator = self.simulator.accumulators(self.layer.name, q)
        self.accumulator_mismatches += self._count(
            "accumulator", accumulator, framework.accumulator
        )
        self.rows["input"] += len(q)
        self.rows["accumulator"] += len(accumulator)
        self._observe_range(q, accumulator)
        return bool(different)

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

    def _count(self, what: str, mine: Array, theirs: Array) -> int:
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
                "index": [at[0] + self.rows[what], *at[1:]],
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
