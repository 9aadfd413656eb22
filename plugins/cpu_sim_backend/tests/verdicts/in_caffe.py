"""Networks whose weights only Caffe knows the shapes of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from amct_caffe.model.formats.prototxt import document as documents
from plugins.cpu_sim_backend.tests.integers.corrupting import Saved, quantized


def save(folder: Path, network: str, **data: NDArray[Any]) -> Saved:
    """Save ``network`` with random weights, drawn in Caffe, as if it had been trained.

    The test is skipped where this Caffe lacks a layer type of it.
    """
    from amct_caffe.runtime.pycaffe import TEST, caffe

    layers = documents.from_text(network).layers
    lacking = {layer.type for layer in layers} - set(caffe.layer_type_list())
    if lacking:
        pytest.skip(f"this Caffe has no layers of type {', '.join(sorted(lacking))}")
    (folder / "n.prototxt").write_text(network)
    net = caffe.Net(str(folder / "n.prototxt"), TEST)
    generator = np.random.default_rng(3)
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = generator.normal(0, 0.3, blob.data.shape)
    net.save(str(folder / "n.caffemodel"))
    return quantized(folder, **data)
