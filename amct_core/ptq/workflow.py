"""The steps of post-training quantization as plain functions, for the API and the command line.

Each step reads files, calls pure code, and writes files: all of a step's output appears or none.
Between :func:`calibration_network` and :func:`save` the user runs the modified model; only the
record connects what happens there with saving.

The steps before and after calibration stand in modules of their own: :mod:`amct_core.ptq.opening`,
:mod:`amct_core.ptq.saving`, :mod:`amct_core.ptq.conversion`.
"""

from __future__ import annotations

from typing import Iterable, Optional

import attrs

from amct_core import record as records
from amct_core.distinct_files import check_distinct
from amct_core.files import FileSet
from amct_core.plugins import registries
from amct_core.ptq import calibration, progress
from amct_core.ptq.conversion import convert
from amct_core.ptq.engine import Batch, Engine
from amct_core.ptq.observing import observer_for, parameters_of
from amct_core.ptq.opening import PtqNetwork, prepared, reopen, reopen_with, start, start_with
from amct_core.ptq.plan import make_plan, naming_layers
from amct_core.ptq.saving import quantized, save, save_quantized
from amct_core.record import Record
from amct_core.workflow import frontend_for

__all__ = [
    "PtqNetwork",
    "calibrate",
    "calibration_network",
    "convert",
    "prepared",
    "quantized",
    "reopen",
    "reopen_with",
    "save",
    "save_quantized",
    "start",
    "start_with",
]


def calibration_network(
    network: PtqNetwork,
    modified_model_file: str,
    modified_weights_file: str,
    inputs_folder: Optional[str] = None,
) -> None:
    """Write the model that is calibrated, and the factors of the weights into the record.

    Args:
        network: what :func:`start` returned.
        modified_model_file, modified_weights_file: to write.
        inputs_folder: an existing folder, where calibration keeps what the quantized layers read;
            None: it keeps nothing.

    Raises:
        ConfigError: a layer's calibrator needs an engine, which the framework is not.
        AmctError: weights that cannot be quantized, a file that cannot be written, or one that
            is read, or written as another one.
    """
    check_distinct(
        network.inputs,
        {
            "scale_offset_record_file": network.record_file,
            "modified_model_file": modified_model_file,
            "modified_weights_file": modified_weights_file,
        },
    )
    plugins = registries()
    frontend = frontend_for(network.model_file, plugins)
    plan = attrs.evolve(
        make_plan(network.graph, network.config, network.record_file, plugins),
        inputs_folder=inputs_folder,
    )
    for group in plan.groups:
        with naming_layers(group):
            observer_for(
                plugins.calibrators.get(group.activation.act_algo),
                parameters_of(group.activation, network.config.activation_offset),
                ", ".join(group.layers),
            )
    with FileSet() as files:
        frontend.write_calibration(plan, modified_model_file, modified_weights_file, files)
        files.update(network.record_file, records.format(plan.record()))
    progress.forget(network.record_file)


def calibrate(
    network: PtqNetwork,
    batches: Iterable[Batch],
    engine: Engine,
    shift_search: Optional[str] = None,
) -> Record:
    """Calibrate in an engine, without the framework; write the record, and return it.

    Args:
        network: what :func:`start` returned.
        batches: the data.
        engine: what runs the network.
        shift_search: name of a search for shift N; None: none is searched.

    Raises:
        AmctError: see :func:`amct_core.ptq.calibration.calibrate`; nothing is written then.
    """
    plan = make_plan(network.graph, network.config, network.record_file, registries())
    record = calibration.calibrate(plan, batches, engine, shift_search)
    with FileSet() as files:
        files.update(network.record_file, records.format(record))
    progress.forget(network.record_file)
    return record
