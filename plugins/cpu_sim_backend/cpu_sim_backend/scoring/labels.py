"""Labels: class indices in list files and arrays."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
from numpy.typing import NDArray

from amct_core.errors import ConfigError, FileFormatError
from amct_core.files import read_text
from cpu_sim_backend.data import NpzSource

Array = NDArray[Any]


def read_labels(path: str) -> Array:
    """Return the labels of a list file: a line per sample, whose last word is its class.

    Raises:
        FileFormatError: a line has no number.
    """
    labels = []
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            labels.append(_class_index(line.split()[-1]))
        except ValueError as error:
            raise FileFormatError(
                f"line {number} is {line.strip()!r}; expected a class index at its end.",
                file=path,
                remedy="Write one line per sample: '7', or 'image.jpg 7'.",
            ) from error
    return checked_labels(np.asarray(labels), path)


def _lines(path: str) -> List[str]:
    return read_text(path).lstrip("\ufeff").splitlines()


def _class_index(word: str) -> int:
    """Return a class index, also one that NumPy has written as ``7.0`` or ``7.000e+00``."""
    try:
        return int(word)
    except ValueError:
        value = float(word)
        if not value.is_integer():
            raise ValueError(word) from None
        return int(value)


def labels_of_files(path: str, files: Sequence[str], folder: str) -> Array:
    """Return the labels of the images of a folder.

    Args:
        path: a list file: ``file label`` in each line, in any order; or a label in each line, in
            the order of the images.
        files: the images, relative to ``folder``, with ``/`` between parts.
        folder: where they are.

    Raises:
        FileFormatError: a line has no number, an image is not in the list or twice, or there is
            another number of labels than of images.
    """
    lines = [line.split() for line in _lines(path) if line.strip()]
    labels = read_labels(path)
    if all(len(words) == 1 for words in lines):
        if len(labels) != len(files):
            raise FileFormatError(
                f"there are {len(labels)} labels for the {len(files)} images of '{folder}'.",
                file=path,
                remedy="Write one line per image: 'image.jpg 7', or '7' in the order of the images "
                "that --json shows.",
            )
        return labels
    names = [line.strip() for line in _lines(path) if line.strip()]
    by_file: Dict[str, int] = {}
    for line, label in zip(names, labels):
        name = _in_folder(line.rsplit(None, 1)[0], folder)
        if by_file.setdefault(name, int(label)) != label:
            raise FileFormatError(
                f"image '{name}' has the labels {by_file[name]} and {label}; expected one.",
                file=path,
                remedy="Write one line per image.",
            )
    missing = [name for name in files if name not in by_file]
    if missing:
        raise FileFormatError(
            f"it has no label for {len(missing)} of the {len(files)} images of '{folder}', such as "
            f"'{missing[0]}'; its first line is {names[0]!r}.",
            file=path,
            remedy="Write one line per image, its path relative to the folder: 'cats/1.jpg 7'.",
        )
    return np.asarray([by_file[name] for name in files], np.int64)


def _in_folder(name: str, folder: str) -> str:
    """Return the path of a list relative to ``folder``, as images are called."""
    if os.path.isabs(name):
        name = os.path.relpath(os.path.realpath(name), os.path.realpath(folder))
    return os.path.normpath(name).replace(os.sep, "/")


def checked_labels(labels: Array, source: str) -> Array:
    """Return labels as int64, one axis.

    Raises:
        FileFormatError: they are no whole numbers, or more than one per sample.
    """
    flat = labels.reshape(len(labels), -1) if labels.ndim else labels.reshape(0, 1)
    whole = labels.dtype.kind in "iu" or (
        labels.dtype.kind == "f" and bool(np.all(labels == np.rint(labels)))
    )
    if not len(flat) or flat.shape[1] != 1 or not whole:
        raise FileFormatError(
            f"the labels are {labels.dtype} of shape {labels.shape}; expected one class index per "
            "sample.",
            file=source,
            remedy="Give an array of integers, or another metric with --metric.",
        )
    return flat[:, 0].astype(np.int64)


def labels_of_npz(
    source: NpzSource, path: str, labels: Optional[str], label_blob: Optional[str]
) -> Optional[Array]:
    """Return the labels of the samples in an ``.npz`` file; None: there are none.

    Args:
        source, path: the file.
        labels: a list file, or the name of an array of ``path``; None: the array ``label_blob``,
            ``label`` or ``labels``, if there is one.
        label_blob: what the Accuracy layer reads.

    Raises:
        AmctError: a file cannot be read, or these are no labels.
    """
    if labels is not None and labels not in source.lengths:
        return read_labels(labels)
    for name in (labels,) if labels is not None else (label_blob, "label", "labels"):
        if name is not None and name in source.lengths:
            return checked_labels(whole_array(source, name), path)
    return None


def whole_array(source: NpzSource, name: str) -> Array:
    """Return one array of the file; an empty one is an error of who reads it."""
    count = source.lengths[name]
    if count == 0:
        raise ConfigError(f"array '{name}' has no samples.", field="data")
    (batch,) = source.read_rows({name: count})
    return batch[name]
