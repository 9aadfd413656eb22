"""Runs ``amct_caffe calibration``: configuration, model to calibrate, forwards, saved models."""

from __future__ import annotations

import itertools
import os
import tempfile
from typing import Any

import numpy as np

from amct_caffe import ptq_api
from amct_caffe.command_line.arguments import CalibrationArguments, DataFolders
from amct_caffe.command_line.evaluator import load_evaluator
from amct_caffe.common.cmd_line_utils import data_handler
from amct_caffe.frontend import CaffeFrontend
from amct_core.config import ptq_json
from amct_core.errors import ConfigError, RecordError
from amct_core.files import temporary_folder
from amct_core.graph.input_data import ArrayKind, check_input_data
from amct_core.ptq.workflow import PtqNetwork


def calibrate(arguments: CalibrationArguments) -> None:
    """Write the fake-quant and the deployable model under ``arguments.save_path``.

    What lies between (configuration, record, model to calibrate) is in a folder of its own and
    goes.

    Raises:
        AmctError: a file, an option or the data does not fit.
    """
    from amct_caffe.runtime.pycaffe import caffe

    if arguments.gpu_id is None:
        caffe.set_mode_cpu()
    else:
        caffe.set_mode_gpu()
        caffe.set_device(arguments.gpu_id)
    evaluator = None if arguments.evaluator is None else load_evaluator(arguments.evaluator)
    with temporary_folder(tempfile.gettempdir(), "amct_caffe") as folder:
        config = os.path.join(folder, "config.json")
        modified_model = os.path.join(folder, "modified_model.prototxt")
        modified_weights = os.path.join(folder, "modified_model.caffemodel")
        model, weights = arguments.model, arguments.weights
        ptq_api.create_quant_config(
            config,
            model,
            weights,
            batch_num=arguments.batch_num,
            config_defination=arguments.calibration_config,
        )
        graph = ptq_api.init(config, model, weights, os.path.join(folder, "record.txt"))
        ptq_api.quantize_model(graph, modified_model, modified_weights)
        if evaluator is not None:
            evaluator.calibration(modified_model, modified_weights)
        elif arguments.data is not None:
            count = ptq_json.read(config).batch_num
            CaffeFrontend().check_calibration(graph.graph)
            _run(graph, modified_model, modified_weights, arguments.data, count)
        try:
            ptq_api.save_model(graph, "Both", arguments.save_path)
        except RecordError as error:
            if error.file != graph.record_file or arguments.evaluator is None:
                raise
            # The record goes with its folder; the user's is the evaluator.
            raise RecordError(
                error.problem,
                file=arguments.evaluator,
                layer=error.layer,
                field="calibration",
                remedy="Let it run batch_num forwards of the model that it is given, in one "
                "caffe.Net.",
            ) from error


def _check_shapes(network: PtqNetwork, data: DataFolders) -> None:
    """Check what Caffe would end the process for.

    Raises:
        ConfigError: the network cannot take arrays of the shapes that are given.
    """
    declared = {k: tuple(v) for k, v in CaffeFrontend().input_shapes(network.graph).items()}
    given = {
        name: ArrayKind(np.dtype(kind), tuple(shape))
        for (name, shape), kind in zip(data.shapes.items(), data.types)
    }
    check_input_data(
        network.graph,
        declared,
        given,
        field="input_shape",
        remedy="Give the shapes of the batches that the files hold, and files that the network "
        "can take.",
    )


def _run(network: PtqNetwork, model: str, weights: str, data: DataFolders, count: int) -> None:
    """Run ``count`` batches of ``data``; inputs get the shapes that it gives."""
    from amct_caffe.runtime.pycaffe import TEST, caffe

    # Before the net: it may take long to build.
    batches = data_handler.load_data(data.shapes, data.paths, data.types, count)
    net = caffe.Net(model, TEST, weights=weights)
    _check_inputs(net, data)
    _check_shapes(network, data)
    first = next(batches)  # its size is checked before Caffe gets its shape
    for name, shape in data.shapes.items():
        net.blobs[name].reshape(*shape)
    net.reshape()
    for batch in itertools.chain([first], batches):
        net.forward(**batch)


def _check_inputs(net: Any, data: DataFolders) -> None:
    if set(data.shapes) != set(net.inputs):
        raise ConfigError(
            f"it gives the inputs {', '.join(data.shapes)}; the network's are "
            f"{', '.join(net.inputs) or 'none: its data layers give the data'}.",
            field="input_shape",
            remedy="Give each input of the network by its name."
            if net.inputs
            else "Give --evaluator, or a model with Input layers.",
        )
