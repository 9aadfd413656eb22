"""Softmax over many classes: its sum has so many terms that their order counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cpu_sim_backend.simulator import Simulator

NET = """
layer {{
  name: "x" type: "Input" top: "x"
  input_param {{ shape {{ dim: {images} dim: {classes} }} }}
}}
layer {{ name: "prob" type: "Softmax" bottom: "x" top: "prob" }}
"""


@pytest.mark.caffe
@pytest.mark.parametrize("classes", [999, 1000, 1001, 1003, 4000])
def test_each_probability_is_within_1e_6_of_caffes(
    caffe: Any, tmp_path: Path, classes: int
) -> None:
    images = 64
    logits = np.random.default_rng(0).normal(0, 3, (images, classes)).astype(np.float32)
    logits[np.arange(images), np.arange(images)] += 15  # as a classifier that is rather sure
    prototxt = str(tmp_path / "net.prototxt")
    Path(prototxt).write_text(NET.format(images=images, classes=classes))
    net = caffe.Net(prototxt, caffe.TEST)
    net.blobs["x"].data[...] = logits
    expected = net.forward()["prob"].copy()
    net.save(str(tmp_path / "net.caffemodel"))
    found = Simulator(prototxt, str(tmp_path / "net.caffemodel")).run({"x": logits}, ["prob"])
    np.testing.assert_allclose(found["prob"], expected, rtol=1e-6)
