"""Calibrates in the framework, in the simulator, or in both."""

from __future__ import annotations

import os
from typing import Optional, Tuple

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
    """What a calibration gave: the files, and the difference where it ran in both."""

    files: Tuple[str, ...]
    difference: Optional[Difference] = None


def calibrate(
    network: PtqNetwork,
    folder: str,
    options: DataOptions,
    batch_size: Optional[int] = None,
    engine: Optional[str] = None,
    shift_search: Optional[str] = None,
) -> Calibrated:
    """Complete the record of ``network``.

    Args:
        network: as :func:`workflow.reopen` returns it; its record is begun here.
        folder: where the modified model goes, if it runs in the framework.
        options: the data; nothing: the network's own data layers, which only the framework runs.
        batch_size: samples of one batch; None: all samples, divided by ``batch_num``.
        engine: one of :data:`ENGINES`; None: the framework where it is installed.
        shift_search: name of a search for shift N, which the simulator does; None: none.

    Raises:
        EnvironmentUnsuitableError: the framework is asked for, or needed, and not installed.
        AmctError: data or network cannot be used; before anything is written, where it can be.
    """
    frontend = frontend_for(network.model_file, registries())
    chosen = engine or (FRAMEWORK if frontend.runs_here() else SIMULATOR)
    _check(frontend, chosen, options, shift_search)
    data = None if options.data is None else calibration_data(network, options, batch_size)
    if chosen == SIMULATOR:
        assert data is not None
        workflow.calibrate(network, data, SimulatorEngine(), shift_search)
        return Calibrated((network.record_file,))
    files = _in_framework(network, frontend, folder, data)
    if chosen == FRAMEWORK:
        return Calibrated(files)
    assert data is not None
    plan = make_plan(network.graph, network.config, network.record_file, registries())
    simulated = calibration.calibrate(plan, data, SimulatorEngine())
    return Calibrated(files, difference(records.read(network.record_file), simulated))


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
) -> Tuple[str, ...]:
    names = ("modified_model.prototxt", "modified_model.caffemodel")
    model, weights = (os.path.join(folder, name) for name in names)
    workflow.calibration_network(network, model, weights)
    current().keep_log(os.path.join(folder, f"{frontend.name}.log"))
    frontend.run_calibration(model, weights, network.config.batch_num, data)
    return model, weights, network.record_file
