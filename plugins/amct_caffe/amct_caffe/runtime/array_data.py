"""ArrayData: batches out of a ``.npz`` file, in order, beginning again at its end.

For demonstrations and tests: a data layer that needs no database and always gives the same batches.
Of ``size`` processes that train together, rank ``r`` gets samples ``r``, ``r + size``,
``r + 2 * size``, ..., as Caffe's own data layers deal them out: together the batches of one step
are one batch of a single process.
"""

from __future__ import annotations

from typing import Any, Tuple

import attrs
import numpy as np

from amct_caffe.qat.parameters import from_param_str
from amct_caffe.runtime.pycaffe import Layer
from amct_caffe.runtime.ranks.processes import processes
from amct_core.array_files import load_npz
from amct_core.errors import ModelError


@attrs.frozen
class ArrayDataParameters:
    """Where the data is.

    Attributes:
        file: a ``.npz`` file.
        arrays: names of the arrays, one per top; all of the same length.
        batch_size: samples per forward.
    """

    file: str
    arrays: Tuple[str, ...] = attrs.field(converter=tuple)
    batch_size: int


class ArrayData(Layer):  # type: ignore[misc]
    """The layer; Caffe calls setup, reshape and forward."""

    shards_by_rank = True

    def setup(self, bottom: Any, top: Any) -> None:
        """Read the arrays."""
        self._parameters = from_param_str(ArrayDataParameters, self.param_str)
        arrays = load_npz(self._parameters.file, "Write it with numpy.savez(path, data=array).")
        found = [arrays.get(name) for name in self._parameters.arrays]
        self._arrays = [np.asarray(each, np.float32) for each in found if each is not None]
        lengths = {len(each) if each.ndim else 0 for each in self._arrays}
        if len(top) != len(found) or len(top) != len(self._arrays):
            raise ModelError(
                f"it has {sorted(arrays)}; expected {list(self._parameters.arrays)}, one per "
                f"top ({len(top)}).",
                file=self._parameters.file,
            )
        if len(lengths) != 1 or 0 in lengths:
            raise ModelError(
                f"its arrays have {sorted(lengths)} samples; expected as many in each.",
                file=self._parameters.file,
            )
        self._next = processes().rank

    def reshape(self, bottom: Any, top: Any) -> None:
        """Shape the tops like a batch."""
        # pycaffe's vectors of blobs can be indexed but not iterated over.
        for index, array in enumerate(self._arrays):
            top[index].reshape(self._parameters.batch_size, *array.shape[1:])

    def forward(self, bottom: Any, top: Any) -> None:
        """Give the next batch."""
        count, step = len(self._arrays[0]), processes().size
        indices = self._next + step * np.arange(self._parameters.batch_size + 1)
        for index, array in enumerate(self._arrays):
            top[index].data[...] = array[indices[:-1] % count]
        self._next = int(indices[-1] % count)

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        """There is nothing below."""
