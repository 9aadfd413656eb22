"""The samples of a search: those that calibrate, and those that are judged."""

from __future__ import annotations

import hashlib
from typing import Any, Dict, Iterator, Mapping, Optional

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import ConfigError, FileFormatError
from cpu_sim_backend.data import NpzSource
from cpu_sim_backend.ptq.auto.scoring import checked_labels, read_labels

Array = NDArray[Any]


@attrs.frozen(eq=False)
class Samples:
    """Samples in order.

    Attributes:
        arrays: by input blob, all of one length.
        labels: one class index per sample, int64; None: not known.
    """

    arrays: Mapping[str, Array]
    labels: Optional[Array] = None

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def part(self, start: int, stop: Optional[int]) -> Samples:
        """Return the samples from ``start`` to before ``stop``."""
        rows = slice(start, stop)
        labels = None if self.labels is None else self.labels[rows]
        return Samples({name: each[rows] for name, each in self.arrays.items()}, labels)

    def batches(self, size: int) -> Iterator[Dict[str, Array]]:
        """Yield the arrays, at most ``size`` samples at a time."""
        for start in range(0, len(self), size):
            yield {name: each[start : start + size] for name, each in self.arrays.items()}

    def digest(self) -> str:
        """Return a digest of all samples and labels."""
        found = hashlib.sha256()
        for name, each in (*sorted(self.arrays.items()), ("", self.labels)):
            if each is not None:
                found.update(f"{name} {each.dtype} {each.shape}".encode())
                found.update(np.ascontiguousarray(each).data)
        return found.hexdigest()


def read_samples(
    path: str, inputs: Mapping[str, Any], labels: Optional[str], label_blob: Optional[str]
) -> Samples:
    """Return the samples of an ``.npz`` file.

    Args:
        path: of the file: one array per network input; perhaps labels.
        inputs: the network's input blobs.
        labels: a list file, or the name of an array of ``path``; None: the array ``label_blob``,
            ``label`` or ``labels``, if there is one.
        label_blob: what the Accuracy layer reads.

    Raises:
        AmctError: an array is missing, or there are not as many labels as samples.
    """
    source = NpzSource(path)
    blobs = [name for name in source.lengths if name in inputs and name != label_blob]
    if not blobs or len({source.lengths[name] for name in blobs}) != 1:
        raise ConfigError(
            f"it has the arrays {dict(source.lengths)}; the network's inputs are "
            f"{', '.join(inputs)}, and each needs as many samples.",
            file=path,
            remedy="Write one array per input, called like it.",
        )
    with np.load(path) as stored:
        arrays = {name: np.asarray(stored[name], np.float32) for name in blobs}
        found = _labels(stored, path, labels, label_blob)
    count = source.lengths[blobs[0]]
    if found is not None and len(found) != count:
        raise FileFormatError(
            f"there are {len(found)} labels for {count} samples.",
            file=path if labels is None else labels,
            remedy="Give one label per sample, in the order of the samples.",
        )
    return Samples(arrays, found)


def _labels(
    stored: Any, path: str, labels: Optional[str], label_blob: Optional[str]
) -> Optional[Array]:
    if labels is not None and labels not in stored.files:
        return read_labels(labels)
    for name in (labels,) if labels is not None else (label_blob, "label", "labels"):
        if name is not None and name in stored.files:
            return checked_labels(stored[name], path)
    return None
