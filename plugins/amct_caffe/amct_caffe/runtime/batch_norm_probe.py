"""Finds out whether the Caffe that is installed can train BatchNorm.

The package on the package index cannot: its forward normalises with the stored statistics in every
phase, while its backward assumes those of the batch, and training explodes without an error.  No
version number tells, so one layer is run.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amct_caffe.runtime.pycaffe import TRAIN, caffe

_PROTOTXT = """\
force_backward: true
layer {
  name: "data" type: "Input" top: "data"
  input_param { shape { dim: 4 dim: 2 dim: 3 dim: 3 } }
}
layer {
  name: "norm" type: "BatchNorm" bottom: "data" top: "norm"
  batch_norm_param { use_global_stats: false }
}
"""
_ACROSS = (0, 2, 3)
_TOLERANCE = 1e-3


def trains_batch_norm() -> bool:
    """Return whether forward and backward of BatchNorm both follow the statistics of the batch.

    Then the outputs have mean 0 and variance 1 in each channel, and a gradient that is constant
    over a channel comes back as 0, because moving all inputs of a channel moves no output.
    """
    net = _net()
    generator = np.random.default_rng(1)
    # Far from the statistics of a new layer, whose mean is 0.
    net.blobs["data"].data[...] = generator.normal(5, 3, net.blobs["data"].data.shape)
    net.forward()
    output: NDArray[np.float32] = np.array(net.blobs["norm"].data)
    if not np.isfinite(output).all():
        return False
    net.blobs["norm"].diff[...] = 1
    net.backward()
    gradient: NDArray[np.float32] = np.array(net.blobs["data"].diff)
    return bool(
        np.abs(output.mean(_ACROSS)).max() < _TOLERANCE
        and np.abs(output.var(_ACROSS) - 1).max() < _TOLERANCE
        and np.abs(gradient).max() < _TOLERANCE
    )


def _net() -> Any:
    # pycaffe builds nets from files only.
    descriptor, path = tempfile.mkstemp(suffix=".prototxt")
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(_PROTOTXT)
        return caffe.Net(path, TRAIN)
    finally:
        os.unlink(path)
