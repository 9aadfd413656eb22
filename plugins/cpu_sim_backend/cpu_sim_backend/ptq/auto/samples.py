"""The samples of a search: those that calibrate, and those that are judged."""

from __future__ import annotations

import hashlib
from typing import Any, Dict, Iterator, Mapping, Optional, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import ConfigError, FileFormatError
from amct_core.graph.input_data import kind_of, require_array
from cpu_sim_backend.data import NpzSource
from cpu_sim_backend.ptq.inputs import Inputs
from cpu_sim_backend.scoring.labels import labels_of_npz, whole_array

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
    path: str, inputs: Inputs, labels: Optional[str], label_blob: Optional[str]
) -> Samples:
    """Return the samples of an ``.npz`` file.

    Args:
        path: of the file: one array per network input; perhaps labels.
        inputs: those of the network.
        labels: a list file, or the name of an array of ``path``; None: the array ``label_blob``,
            ``label`` or ``labels``, if there is one.
        label_blob: what the Accuracy layer reads.

    Raises:
        AmctError: an array is missing or of another kind than the input, lengths differ, or there
            are not as many labels as samples.
    """
    source = NpzSource(path)
    inputs.check_given(source.lengths, path)
    blobs = inputs.needed
    if len({source.lengths[name] for name in blobs}) != 1:
        raise ConfigError(
            f"it has the arrays {dict(source.lengths)}; the network's inputs are "
            f"{', '.join(blobs)}, and each needs as many samples.",
            file=path,
            remedy="Write one array per input, called like it.",
        )
    arrays = {name: _numbers(source, name, inputs.shapes[name], path) for name in blobs}
    found = labels_of_npz(source, path, labels, label_blob)
    count = source.lengths[blobs[0]]
    if found is not None and len(found) != count:
        raise FileFormatError(
            f"there are {len(found)} labels for {count} samples.",
            file=path if labels is None else labels,
            remedy="Give one label per sample, in the order of the samples.",
        )
    return Samples(arrays, found)


def _numbers(source: NpzSource, name: str, shape: Sequence[int], path: str) -> Array:
    array = whole_array(source, name)
    require_array(name, kind_of(array), tuple(shape), file=path)
    return np.asarray(array, np.float32)
