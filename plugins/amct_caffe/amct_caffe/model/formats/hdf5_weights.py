"""Weights files in HDF5, as Caffe writes them with ``snapshot_format: HDF5``.

Group ``data`` has a group for each layer, and in it a dataset for each blob, named by its index.
A blob that several layers share is written once, with the layer that owns it.

Source: BVLC Caffe, ``Net::ToHDF5`` in net.cpp.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, Mapping, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.caffemodel.wire import Buffer
from amct_core.cli.installing import how_to_install
from amct_core.errors import EnvironmentUnsuitableError, FileFormatError

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_GROUP = "data"

StoredBlobs = Mapping[int, NDArray[np.float32]]
"""The blobs of a layer that are in the file, by their index."""


def is_hdf5(contents: Buffer) -> bool:
    """Return whether a file with these contents begins as HDF5 files do."""
    return bytes(contents[: len(_SIGNATURE)]) == _SIGNATURE


def read(path: str) -> Dict[str, StoredBlobs]:
    """Return the layers of the file and, float32, their blobs.

    Raises:
        EnvironmentUnsuitableError: h5py is not installed.
        FileFormatError: the file is damaged, or no weights file of Caffe.
    """
    h5py = _library(path)
    try:
        with h5py.File(path, "r") as file:
            if _GROUP not in file:
                raise FileFormatError(
                    f"it has no group '{_GROUP}'; expected a weights file of Caffe.",
                    file=path,
                    remedy="Give a snapshot (.caffemodel.h5), and not one of the solver's state.",
                )
            layers: Dict[str, Dict[int, NDArray[np.float32]]] = {}
            for layer, index, dataset in _datasets(file[_GROUP], h5py, path):
                layers.setdefault(layer, {})[index] = np.asarray(dataset[()], np.float32)
    except OSError as error:
        raise FileFormatError(
            f"cannot be read as HDF5: {error}.", file=path, remedy="Save the snapshot again."
        ) from error
    return dict(layers)


def _datasets(group: Any, h5py: Any, path: str) -> Iterator[Tuple[str, int, Any]]:
    """Yield layer, index and dataset; a name with slashes is a path of groups in HDF5."""
    for name, member in group.items():
        if isinstance(member, h5py.Group):
            yield from _datasets(member, h5py, path)
        elif name.isdecimal():
            yield group.name[len(_GROUP) + 2 :], int(name), member
        else:
            raise FileFormatError(
                f"found '{name}'; expected the index of a blob.",
                file=path,
                layer=group.name[len(_GROUP) + 2 :],
                remedy="Give a weights file that Caffe wrote.",
            )


def _library(path: str) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise EnvironmentUnsuitableError(
            f"'{path}' is an HDF5 file, and h5py, which reads those, is not installed.",
            remedy=f"Run: {how_to_install('amct[hdf5]')}; or train with snapshot_format: "
            "BINARYPROTO.",
        ) from error
    return h5py
