"""Reads the labels that a data layer brings, where that can be done without Caffe.

Formats: BVLC Caffe's dummy_data_layer, image_data_layer, hdf5_data_layer; message ``Datum``.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from typing import Callable, Dict, List, Optional

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.caffemodel.wire import VARINT, read_varint, walk
from amct_caffe.model.formats.databases import records
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_core.errors import FileFormatError
from amct_core.files import read_text
from amct_core.textproto import Message

_RECORDS = 1000
"""How many records of a database are looked at."""

_NUMBERS = 1_000_000
"""About how many numbers of a data set in HDF5 are looked at; a segmentation has one per pixel."""

_LABEL_OF_DATUM = 5


@attrs.frozen(eq=False)
class Labels:
    """Labels, and where each of them is.

    Attributes:
        field: of the layer, that they come from.
        values: the numbers.
        places: ``(index) -> text``.
    """

    field: str
    values: NDArray[np.float64]
    places: Callable[[int], str]


def labels_of(layer: Layer, top: int) -> Optional[Labels]:
    """Return the labels in top number ``top`` of a data layer; None where they cannot be read.

    Files that are not there, and libraries that are not installed, are no error here.

    Raises:
        FileFormatError: a file is not what the layer takes it for.
    """
    read = _READERS.get(layer.type)
    return None if read is None else read(layer, top)


def _of_dummy_data(layer: Layer, top: int) -> Optional[Labels]:
    fillers = layer.parameters("dummy_data_param").messages("data_filler") or [Message()]
    filler = fillers[top if len(fillers) > 1 else 0]
    kind = filler.string("type", "constant")
    if kind == "constant":
        values = [filler.number("value") or 0.0]
    elif kind == "uniform":
        low, high = filler.number("min") or 0.0, filler.number("max")
        # The upper end itself is practically never drawn.
        values = [low, float(np.nextafter(1.0 if high is None else high, -np.inf))]
    else:
        return None
    return Labels(
        "dummy_data_param.data_filler", np.array(values, np.float64), lambda _: f"filler '{kind}'"
    )


def _of_image_list(layer: Layer, top: int) -> Optional[Labels]:
    source = layer.parameters("image_data_param").string("source") or ""
    if top != 1 or not os.path.isfile(source):
        return None
    numbers: List[int] = []
    values: List[float] = []
    for number, line in enumerate(read_text(source).splitlines(), 1):
        try:
            values.append(float(int(line.rsplit(" ", 1)[1])))
        except (IndexError, ValueError):
            continue  # not a line of a name and a number: Caffe takes what atoi makes of it
        numbers.append(number)
    return Labels(
        "image_data_param.source",
        np.array(values, np.float64),
        lambda index: f"line {numbers[index]} of '{source}'",
    )


def _of_hdf5(layer: Layer, top: int) -> Optional[Labels]:
    source, name = layer.parameters("hdf5_data_param").string("source") or "", layer.tops[top]
    try:
        import h5py
    except ImportError:
        return None
    if not os.path.isfile(source):
        return None
    paths: List[str] = []
    values: List[NDArray[np.float64]] = []
    for path in read_text(source).split():
        if not os.path.isfile(path):
            continue
        if not h5py.is_hdf5(path):
            raise _unusable(path, "it is no HDF5 file.")
        with h5py.File(path, "r") as file:
            if name not in file:
                raise _unusable(path, f"it has no data set '{name}', only {sorted(file)}.")
            found = file[name]
            rows = max(1, _NUMBERS * len(found) // max(1, found.size)) if found.ndim else 0
            values.append(np.asarray(found[:rows] if found.ndim else [], np.float64).reshape(-1))
        paths.append(path)
    ends = np.cumsum([len(each) for each in values])

    def place(index: int) -> str:
        file = int(np.searchsorted(ends, index, side="right"))
        return f"number {index - (ends[file] - len(values[file]))} of '{paths[file]}'"

    return Labels("hdf5_data_param.source", np.concatenate([*values, np.zeros(0)]), place)


def _of_database(layer: Layer, top: int) -> Optional[Labels]:
    parameters = layer.parameters("data_param")
    source = parameters.string("source") or ""
    if top != 1 or not os.path.isfile(os.path.join(source, "data.mdb")):
        return None
    values: List[float] = []
    keys: List[str] = []
    try:
        with contextlib.closing(records(source)) as found:
            for key, datum in itertools.islice(found, _RECORDS):
                keys.append(key.decode("utf-8", "replace"))
                values.append(_label(datum, source))
    except ImportError:
        return None
    return Labels(
        "data_param.source",
        np.array(values, np.float64),
        lambda index: f"record '{keys[index]}' of '{source}'",
    )


def _label(datum: bytes, file: str) -> float:
    label = 0
    for field in walk(datum, 0, len(datum), file):
        if field.number == _LABEL_OF_DATUM and field.wire_type == VARINT:
            label, _ = read_varint(datum, field.start, field.end, file)
    return float(np.uint64(label).astype(np.int64).astype(np.int32))


def _unusable(path: str, problem: str) -> FileFormatError:
    return FileFormatError(problem, file=path, remedy="Make the file again, or name another.")


_READERS: Dict[str, Callable[[Layer, int], Optional[Labels]]] = {
    "Data": _of_database,
    "DummyData": _of_dummy_data,
    "HDF5Data": _of_hdf5,
    "ImageData": _of_image_list,
}
