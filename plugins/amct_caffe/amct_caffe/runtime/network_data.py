"""Runs the data layers of a network by themselves."""

from __future__ import annotations

import os
import tempfile
from typing import Any, Iterator, Mapping, Optional, Sequence, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_caffe.runtime.buildable import require_buildable
from amct_caffe.runtime.pycaffe import TEST, caffe
from amct_core.extensions.frontend import NetworkData


class CaffeNetworkData(NetworkData):
    """A net of data layers in the TEST phase.

    Args:
        prototxt: its text.
        blobs: those that are wanted.
    """

    def __init__(self, prototxt: str, blobs: Sequence[str]) -> None:
        self._prototxt = prototxt
        self._blobs = tuple(blobs)
        # A net that has not run yet; its layers stand at the beginning of their data.
        self._fresh: Optional[Any] = None

    @property
    def shapes(self) -> Mapping[str, Tuple[int, ...]]:
        """The shape of one batch by blob."""
        if self._fresh is None:
            self._fresh = self._build()
        return {name: tuple(self._fresh.blobs[name].data.shape) for name in self._blobs}

    def batches(self, count: int) -> Iterator[Mapping[str, NDArray[np.float32]]]:
        """Yield copies of ``count`` batches."""
        net, self._fresh = self._fresh or self._build(), None
        for _ in range(count):
            net.forward()
            yield {name: np.array(net.blobs[name].data) for name in self._blobs}

    def _build(self) -> Any:
        require_buildable(self._prototxt)
        # pycaffe builds nets from files only.
        descriptor, path = tempfile.mkstemp(suffix=".prototxt")
        try:
            with os.fdopen(descriptor, "w") as stream:
                stream.write(self._prototxt)
            return caffe.Net(path, TEST)
        finally:
            os.unlink(path)
