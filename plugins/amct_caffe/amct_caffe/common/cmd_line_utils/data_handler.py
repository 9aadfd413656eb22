"""Batches out of folders of raw files, as AMCT's command line reads them.

A file holds one batch of one input: its elements in C order (N, C, H, W), nothing else.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from amct_caffe.common.cmd_line_utils.arguments_handler import check_data_type, check_one_each
from amct_core.errors import ConfigError, FileFormatError

_ENDING = ".bin"


class TooFewBatchesError(ConfigError, RuntimeError):
    """A folder has fewer batches than calibration needs."""


def load_data(
    inputs: Mapping[str, Sequence[int]],
    data_paths: Sequence[str],
    data_types: Sequence[str],
    num: int,
) -> Iterator[Dict[str, NDArray[Any]]]:
    """Yield ``num`` batches, arrays by input, for ``net.forward(**batch)``.

    Whether there are enough files is found when it is called; each file is read when its batch is
    due.

    Args:
        inputs: the shape of one batch by input, batch size first.
        data_paths: a folder for each input.
        data_types: the element type of each input's files.
        num: batches to load.

    Raises:
        TooFewBatchesError: (a ``RuntimeError``) a folder has fewer files.
        ConfigTypeError: (a ``TypeError``) an element type is not supported.
        ConfigError: (a ``ValueError``) there is no folder, or not one for each input.
        FileFormatError: (a ``ValueError``) a file does not hold exactly one batch; the message says
            how many bytes it has, and how many it should have.
    """
    check_one_each(list(inputs), data_paths, data_types)
    for each in data_types:
        check_data_type(each)
    files = [batch_files(folder) for folder in data_paths]
    for folder, found in zip(data_paths, files):
        if len(found) < num:
            raise TooFewBatchesError(
                "The number of given data batches is not enough to run calibration with the given "
                f"batch_num. Total batches found: {len(found)}, but trying to load: {num}.",
                file=folder,
                field="data_dir",
                remedy="Give a file for each batch, or a smaller batch_num.",
            )
    return _batches(inputs, files, data_types, num)


def batch_files(folder: str) -> List[str]:
    """Return the files of ``folder`` in the order of their names: the ``.bin`` files.

    Where there is none, all files, so that reading them tells what is wrong with them.

    Raises:
        ConfigError: there is no such folder.
    """
    if not os.path.isdir(folder):
        raise ConfigError(
            "there is no such folder.",
            file=folder,
            field="data_dir",
            remedy="Give the folder that holds the batches.",
        )
    paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    files = [path for path in paths if os.path.isfile(path)]
    return [path for path in files if path.endswith(_ENDING)] or files


def _batches(
    inputs: Mapping[str, Sequence[int]],
    files: Sequence[Sequence[str]],
    data_types: Sequence[str],
    num: int,
) -> Iterator[Dict[str, NDArray[Any]]]:
    for index in range(num):
        yield {
            name: read_batch(own[index], shape, data_type)
            for (name, shape), own, data_type in zip(inputs.items(), files, data_types)
        }


def read_batch(path: str, shape: Sequence[int], data_type: str) -> NDArray[Any]:
    """Return what ``path`` holds, an array of ``shape`` with elements of ``data_type``.

    Raises:
        FileFormatError: it cannot be read, or has another size.
    """
    dtype = np.dtype(data_type)
    expected = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    try:
        with open(path, "rb") as stream:
            contents = stream.read(expected + 1)
            size = os.fstat(stream.fileno()).st_size
    except OSError as error:
        raise FileFormatError(f"it cannot be read ({error.strerror}).", file=path) from error
    if len(contents) != expected:
        raise FileFormatError(
            f"it has {size} bytes; a batch of {'x'.join(map(str, shape))} {data_type} has "
            f"{expected}.",
            file=path,
            remedy="Write each batch with array.tofile(path): raw numbers in C order, no image "
            "format; or correct input_shape and data_types.",
        )
    return np.frombuffer(contents, dtype).reshape(tuple(shape)).copy()
