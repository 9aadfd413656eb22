"""Reads the blobs of a network's layers from a weights file, whichever format it has."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence, Tuple

from numpy.typing import NDArray

from amct_caffe.model.formats import hdf5_weights
from amct_caffe.model.formats.caffemodel import reader as caffemodel
from amct_caffe.model.formats.caffemodel.wire import Buffer
from amct_caffe.model.formats.hdf5_weights import StoredBlobs
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_core.errors import FileFormatError

Blobs = Sequence[NDArray[Any]]


def read_blobs(path: str, contents: Buffer, layers: Sequence[Layer]) -> Dict[str, Blobs]:
    """Return the blobs that a weights file has, by layer.

    Args:
        path: a ``.caffemodel``, or an HDF5 file (``.caffemodel.h5``).
        contents: of the file, mapped.
        layers: of the network; they tell which blobs they share.

    Raises:
        FileFormatError: the file is damaged, or lacks a blob that no other layer has.
        EnvironmentUnsuitableError: it is an HDF5 file, and h5py is not installed.
    """
    if not hdf5_weights.is_hdf5(contents):
        stored = caffemodel.parse(contents, path).by_name()
        return {name: layer.blobs for name, layer in stored.items()}
    return completed(hdf5_weights.read(path), layers, path)


def completed(
    stored: Mapping[str, StoredBlobs], layers: Sequence[Layer], path: str
) -> Dict[str, Blobs]:
    """Return ``stored`` with the blobs that the file has once, with their owner.

    The owner of a blob is the first layer that gives it a name with ``param { name: ... }``.
    Source: BVLC Caffe, ``Net::AppendParam``.

    Raises:
        FileFormatError: a blob is in neither place.
    """
    owned = _owned(stored, layers)
    result: Dict[str, Blobs] = {}
    named = {layer.name: layer for layer in layers}
    for name in dict.fromkeys([*stored, *named]):
        own = stored.get(name, {})
        shared = _shared(named[name], owned) if name in named else {}
        blobs: Dict[int, NDArray[Any]] = {**shared, **own}
        if blobs:
            result[name] = _in_order(blobs, name, path)
    return result


def _owned(stored: Mapping[str, StoredBlobs], layers: Sequence[Layer]) -> Dict[str, NDArray[Any]]:
    """Return the stored blobs that have names."""
    owned: Dict[str, NDArray[Any]] = {}
    for layer in layers:
        for index, blob in stored.get(layer.name, {}).items():
            for name in _names(layer)[index : index + 1]:
                owned.setdefault(name, blob)
    return owned


def _shared(layer: Layer, owned: Mapping[str, NDArray[Any]]) -> Dict[int, NDArray[Any]]:
    names = enumerate(_names(layer))
    return {index: owned[name] for index, name in names if name in owned}


def _names(layer: Layer) -> List[str]:
    return [spec.name or "" for spec in layer.param_specs]


def _in_order(blobs: Mapping[int, NDArray[Any]], name: str, path: str) -> Tuple[NDArray[Any], ...]:
    for index in range(max(blobs) + 1):
        if index not in blobs:
            raise FileFormatError(
                f"it has {sorted(blobs)}; expected every index, or a layer that shares the blob.",
                file=path,
                layer=name,
                field=f"blobs[{index}]",
                remedy="Save the snapshot again.",
            )
    return tuple(blobs[index] for index in range(len(blobs)))
