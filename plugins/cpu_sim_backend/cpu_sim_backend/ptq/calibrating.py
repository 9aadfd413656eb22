"""Calibrates in the framework, in the simulator, or in both."""

from __future__ import annotations

import os
from typing import Mapping, Optional, Tuple

import attrs

from amct_core import record as records
from amct_core.errors import ConfigError, EnvironmentUnsuitableError
from amct_core.extensions.frontend import Frontend
from amct_core.plugins import registries
from amct_core.ptq import calibration, workflow
from amct_core.ptq.plan import make_plan
from amct_core.ptq.workflow import PtqNetwork
from amct_core.record import Record
from amct_core.supervision.watch import current
from amct_core.workflow import frontend_for
from cpu_sim_backend.data.choice import DataOptions
from cpu_sim_backend.ptq.data import CalibrationData, calibration_data
from cpu_sim_backend.ptq.engine import SimulatorEngine
from cpu_sim_backend.ptq.inputs import inputs_of

FRAMEWORK, SIMULATOR, BOTH = "caffe", "simulator", "both"
ENGINES = (FRAMEWORK, SIMULATOR, BOTH)
"""What a calibration runs in."""


@attrs.frozen
class Difference:
    """How far the factors of two calibrations are apart.

    Attributes:
        largest: of scale_d, relative; 0 where all are equal.
        layer: which one has it; None where all are equal.
        offsets: layers whose offset_d differ.
    """

    largest: float
    layer: Optional[str]
    offsets: Tuple[str, ...]

    def __str__(self) -> str:
        where = "" if self.layer is None else f" (layer {self.layer})"
        offsets = f"; offset_d differs in {', '.join(self.offsets)}" if self.offsets else ""
        return (
            "largest relative difference of scale_d between Caffe and the simulator: "
            f"{self.largest:.3g}{where}{offsets}"
        )


def difference(record: Record, other: Record) -> Difference:
    """Return how far the factors of the activations of two records of the same layers differ."""
    largest, layer, offsets = 0.0, None, []
    for name in record:
        mine, theirs = record.get(name), other.get(name)
        assert mine.scale_d is not None and theirs.scale_d is not None
        apart = abs(float(mine.scale_d) - float(theirs.scale_d)) / float(mine.scale_d)
        if apart > largest:
            largest, layer = apart, name
        if mine.offset_d != theirs.offset_d:
            offsets.append(name)
    return Difference(largest, layer, tuple(offsets))


@attrs.frozen
class Calibrated:
    """What a calibration gave.

    Attributes:
        files: written.
        input_shapes: of the inputs in calibration, by blob, batch size first.
        difference: where it ran in both.
    """

    files: Tuple[str, ...]
    input_shapes: Mapping[str, Tuple[int, ...]]
    difference: Optional[Difference] = None


@attrs.frozen(eq=False)
class Calibration:
    """A calibration that can run: network, engine and data fit each other.

    Attributes:
        network: what is calibrated.
        frontend: that of its framework.
        engine: one of :data:`ENGINES`.
        data: None: the network's own data layers, which only the framework runs.
        shift_search: name of a search for shift N; None: none.
    """

    network: PtqNetwork
    frontend: Frontend
    engine: str
    data: Optional[CalibrationData]
    shift_search: Optional[str]

    def run(self, folder: str) -> Calibrated:
        """Complete the record; the modified model, if it runs in the framework, is in ``folder``.

        Raises:
            AmctError: the numbers cannot be quantized, or a file cannot be written.
        """
        network = self.network
        if self.engine == SIMULATOR:
            assert self.data is not None
            workflow.calibrate(network, self.data, SimulatorEngine(), self.shift_search)
            return Calibrated((network.record_file,), self.data.shapes)
        files, shapes = _in_framework(network, self.frontend, folder, self.data)
        if self.engine == FRAMEWORK:
            return Calibrated(files, shapes)
        assert self.data is not None
        plan = make_plan(network.graph, network.config, network.record_file, registries())
        simulated = calibration.calibrate(plan, self.data, SimulatorEngine())
        return Calibrated(files, shapes, difference(records.read(network.record_file), simulated))


def prepare(
    network: PtqNetwork,
    options: DataOptions,
    batch_size: Optional[int] = None,
    engine: Optional[str] = None,
    shift_search: Optional[str] = None,
) -> Calibration:
    """Check all that can be checked before a calibration; nothing is written.

    Args:
        network: as :func:`workflow.reopen` returns it.
        options: the data; nothing: the network's own data layers, which only the framework runs.
        batch_size: samples of one batch; None: all samples, divided by ``batch_num``.
        engine: one of :data:`ENGINES`; None: the framework where it is installed.
        shift_search: name of a search for shift N, which the simulator does; None: none.

    Raises:
        EnvironmentUnsuitableError: the framework is asked for, or needed, and not installed.
        AmctError: data or network cannot be used.
    """
    frontend = frontend_for(network.model_file, registries())
    chosen = engine or (FRAMEWORK if frontend.runs_here() else SIMULATOR)
    _check(frontend, chosen, options, shift_search)
    in_framework = chosen != SIMULATOR
    data = None
    if options.data is not None:
        data = calibration_data(network, options, batch_size, in_framework)
    else:
        inputs_of(network).check_framework(None, None)
    if in_framework:
        frontend.check_calibration(network.graph)
    return Calibration(network, frontend, chosen, data, shift_search)


def _check(
    frontend: Frontend, engine: str, options: DataOptions, shift_search: Optional[str]
) -> None:
    if shift_search is not None and engine != SIMULATOR:
        raise ConfigError(
            f"it is {shift_search!r}; after training N is searched in the simulator only.",
            field="--shift-n-algo",
            remedy="Add --engine simulator.",
        )
    if engine != SIMULATOR and not frontend.runs_here():
        raise EnvironmentUnsuitableError(
            f"{frontend.name} is not installed in this Python.",
            remedy="Calibrate with --engine simulator, or install it.",
        )
    if engine != FRAMEWORK and options.data is None:
        raise ConfigError(
            "there are no data; the simulator does not run the network's data layers.",
            field="--data",
            remedy="Give an .npz file with one array per input, or a folder of images.",
        )


def _in_framework(
    network: PtqNetwork,
    frontend: Frontend,
    folder: str,
    data: Optional[CalibrationData],
) -> Tuple[Tuple[str, ...], Mapping[str, Tuple[int, ...]]]:
    names = ("modified_model.prototxt", "modified_model.caffemodel")
    model, weights = (os.path.join(folder, name) for name in names)
    workflow.calibration_network(network, model, weights)
    current().keep_log(os.path.join(folder, f"{frontend.name}.log"))
    shapes = frontend.run_calibration(model, weights, network.config.batch_num, data)
    return (model, weights, network.record_file), shapes
