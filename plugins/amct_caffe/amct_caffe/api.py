"""The functions of AMCT's Python API.

Names, parameters, their order and their defaults are AMCT's, ``config_defination`` included.
"""

from __future__ import annotations

import logging
import os
from typing import Any, Optional

from amct_core.errors import ConfigError

_log = logging.getLogger("amct_caffe.api")


def create_quant_retrain_config(
    config_file: str,
    model_file: str,
    weights_file: str,
    config_defination: Optional[str] = None,
    *,
    solver_file: Optional[str] = None,
) -> None:
    """Find the layers that can be quantized and write the QAT configuration.

    Args:
        config_file: JSON file to write; an existing one is overwritten with a warning.
        model_file: the trained network's prototxt, in the form that it is trained with.
        weights_file: its caffemodel.
        config_defination: a simplified configuration (text proto) to derive the JSON from; None
            for the default, which quantizes every layer that can be.
        solver_file: the solver that will train (not a parameter of AMCT's); the ``train_state`` and
            the first ``test_state`` that it gives go into the configuration.

    Raises:
        AmctError: a file cannot be read, or does not fit the others.
    """
    workflow = _workflow()
    workflow.create_config(
        _path(model_file, "model_file"),
        _path(weights_file, "weights_file"),
        _path(config_file, "config_file"),
        None if config_defination is None else _path(config_defination, "config_defination"),
        solver_file=None if solver_file is None else _path(solver_file, "solver_file"),
    )


def create_quant_retrain_model(
    model_file: str,
    weights_file: str,
    config_file: str,
    modified_model_file: str,
    modified_weights_file: str,
    scale_offset_record_file: str,
    *,
    initial_record_file: Optional[str] = None,
) -> None:
    """Put fake quantization into the network.

    Args:
        model_file, weights_file: the trained network.
        config_file: the JSON of :func:`create_quant_retrain_config`.
        modified_model_file: prototxt to write; it serves TRAIN and TEST.
        modified_weights_file: caffemodel to write; training starts from it.
        scale_offset_record_file: record file to write; training fills it.
        initial_record_file: a complete record of post-training quantization (not a parameter of
            AMCT's): training begins with its clip bounds, not with those that the first batches
            give.  Another file than the one to write.

    Raises:
        AmctError: a file cannot be read, or the config does not fit the network.
    """
    from amct_core.distinct_files import check_distinct
    from amct_core.ptq.first_bounds import RecordedBounds

    written = {
        "modified_model_file": _path(modified_model_file, "modified_model_file"),
        "modified_weights_file": _path(modified_weights_file, "modified_weights_file"),
        "scale_offset_record_file": _path(scale_offset_record_file, "scale_offset_record_file"),
    }
    first_bounds = None
    if initial_record_file is not None:
        first = _path(initial_record_file, "initial_record_file")
        check_distinct({"initial_record_file": first}, written)
        first_bounds = RecordedBounds.read(first)
    workflow = _workflow()
    workflow.insert(
        _path(model_file, "model_file"),
        _path(weights_file, "weights_file"),
        _path(config_file, "config_file"),
        *written.values(),
        first_bounds=first_bounds,
    )


def save_quant_retrain_model(
    retrained_model_file: str,
    retrained_weights_file: str,
    save_type: str,
    save_path: str,
    scale_offset_record_file: Optional[str] = None,
    config_file: Optional[str] = None,
    *,
    deploy_backend: Optional[str] = None,
) -> None:
    """Write the fake-quant model, the deployable model, or both.

    Args:
        retrained_model_file: the modified model's prototxt.
        retrained_weights_file: the last snapshot of its training (not the file that training
            started from).
        save_type: ``'Fakequant'``, ``'Deploy'`` or ``'Both'``.
        save_path: folder and file name prefix, such as ``'./result/user_model'``; where it is empty
            or ends in ``/``, the files have no prefix.
        scale_offset_record_file: the record of the training; None: the one that the modified model
            was made with.
        config_file: the config that the modified model was made with; None: not checked.
        deploy_backend: who writes the deployable model (not a parameter of AMCT's); None: as the
            config says, else ``'amct'``, AMCT's layout, which keeps the data, loss and accuracy
            layers of the TEST phase.  ``'ascend'`` is the layout that ATC takes as it is.

    Raises:
        AmctError: training has not produced something that is needed, or a file does not fit; then
            nothing is written.
    """
    from amct_core.deploy_choice import API_DEFAULT

    workflow = _workflow()
    workflow.save(
        _path(retrained_model_file, "retrained_model_file"),
        _path(retrained_weights_file, "retrained_weights_file"),
        _save_path(save_path),
        save_type,
        None
        if scale_offset_record_file is None
        else _path(scale_offset_record_file, "scale_offset_record_file"),
        None if config_file is None else _path(config_file, "config_file"),
        deploy_backend,
        default_backend=API_DEFAULT,
    )


def check_solver(solver_file: str, config_file: str, modified_model_file: str) -> None:
    """Check that a solver will run everything that quantization-aware training needs.

    Args:
        solver_file: the solver's prototxt.
        config_file: the QAT config (JSON).
        modified_model_file: the model that :func:`create_quant_retrain_model` wrote.

    Raises:
        TrainingError: it would not; the message explains every violation.
        ConfigError: the model was made with another config.
        AmctError: a file cannot be read.
    """
    from amct_caffe.training import solver_check

    solver_check.check_solver(
        _path(solver_file, "solver_file"),
        _path(config_file, "config_file"),
        _path(modified_model_file, "modified_model_file"),
    )


def set_cpu_mode() -> None:
    """Quantize weights on the CPU, which is what happens in any case.

    In AMCT this chooses where weights are quantized; ours are quantized on the CPU always, and
    where Caffe computes is chosen by ``caffe.set_mode_cpu()`` and ``caffe.set_mode_gpu()`` alone.
    """


def set_gpu_mode() -> None:
    """Accept AMCT's call for quantizing weights on the GPU; ours are quantized on the CPU.

    Caffe itself still computes where ``caffe.set_mode_gpu()`` says.
    """
    _log.info("weights are quantized on the CPU; Caffe computes where caffe.set_mode_* says")


def _workflow() -> Any:
    from amct_core import logging as amct_logging
    from amct_core import workflow

    amct_logging.configure()
    return workflow


def _path(value: object, parameter: str) -> str:
    try:
        path = os.fspath(value)  # type: ignore[call-overload]
    except TypeError:
        path = None
    if not isinstance(path, str) or not path:
        raise ConfigError(f"it is {value!r}; expected a path.", field=parameter)
    return path


def _save_path(value: object) -> str:
    return "" if value == "" else _path(value, "save_path")
