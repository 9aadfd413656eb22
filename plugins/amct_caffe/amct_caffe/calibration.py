"""Runs a calibration in Caffe, from files to a complete record."""

from __future__ import annotations

import os
from typing import Any, Dict, Mapping, Optional, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_core.config import ptq_json
from amct_core.errors import ConfigError, FileFormatError
from amct_core.ptq import workflow

Arrays = Mapping[str, NDArray[np.float32]]


def calibrate(
    model_file: str,
    weights_file: str,
    config_file: str,
    folder: str,
    data: Optional[str] = None,
    batch_size: Optional[int] = None,
) -> Tuple[str, ...]:
    """Write the model to calibrate, run it, and return the files: model, weights, record.

    Args:
        model_file, weights_file: the trained model.
        config_file: the configuration (JSON).
        folder: where the files go.
        data: an ``.npz`` file with one array per network input; None: the data layers give data.
        batch_size: samples of one batch; None: all samples, divided by ``batch_num``.

    Raises:
        ConfigError: there are not enough samples.
        AmctError: a file cannot be read, or does not fit the others.
    """
    from amct_caffe.runtime.pycaffe import TEST, caffe

    names = ("modified_model.prototxt", "modified_model.caffemodel", "record.txt")
    modified_model, modified_weights, record = (os.path.join(folder, name) for name in names)
    count = ptq_json.read(config_file).batch_num
    arrays = None if data is None else _read(data)
    if arrays is not None:
        batch_size = _batch_size(arrays, batch_size, count, str(data))
    network = workflow.start(config_file, model_file, weights_file, record)
    workflow.calibration_network(network, modified_model, modified_weights)
    net = caffe.Net(modified_model, TEST, weights=modified_weights)
    for index in range(count):
        if arrays is not None and batch_size is not None:
            _feed(net, arrays, slice(index * batch_size, (index + 1) * batch_size), str(data))
        net.forward()
    return modified_model, modified_weights, record


def _read(path: str) -> Arrays:
    arrays: Dict[str, NDArray[np.float32]] = {}
    try:
        with np.load(path) as stored:
            for name in stored.files:
                arrays[name] = np.asarray(stored[name], np.float32)
    except (OSError, ValueError) as error:
        raise FileFormatError(
            f"cannot be read as an .npz file: {error}.",
            file=path,
            remedy="Write it with numpy.savez(path, data=array).",
        ) from error
    return arrays


def _batch_size(arrays: Arrays, wanted: Optional[int], count: int, file: str) -> int:
    samples = min((len(array) for array in arrays.values()), default=0)
    size = wanted or samples // count
    if size < 1 or size * count > samples:
        raise ConfigError(
            f"it has {samples} samples; {count} batches (batch_num) of {size or 1} need "
            f"{count * (size or 1)}.",
            file=file,
            remedy="Give more samples, a smaller --batch-size, or a smaller batch_num.",
        )
    return size


def _feed(net: Any, arrays: Arrays, samples: slice, file: str) -> None:
    for name in net.inputs:
        if name not in arrays:
            raise ConfigError(
                f"it has the arrays {', '.join(arrays)}; the network's inputs are "
                f"{', '.join(net.inputs)}.",
                file=file,
                remedy="Write one array per input, called like it.",
            )
        batch = arrays[name][samples]
        net.blobs[name].reshape(*batch.shape)
        net.blobs[name].data[...] = batch
    net.reshape()
