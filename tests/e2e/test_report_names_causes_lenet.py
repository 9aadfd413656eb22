"""``amct report`` on BVLC's LeNet that was made unsound in three layers, without Caffe."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from digits import DigitsModel
from test_report_names_causes import amct, apply, calibrate, make_bounds_smaller, report, save

from amct_caffe.model.formats.caffemodel import reader, writer
from amct_core.file_names import deploy_files
from cpu_sim_backend import Simulator
from cpu_sim_backend.analysis.networks import read_float

pytestmark = pytest.mark.slow

SAMPLES = 500
FAR_CHANNEL = 7
"""Of ip1: its bias is out of int32; ReLU makes 0 of it, so that ip2 may have any weight for it."""
DEAD_CHANNEL = 3
"""Of conv1."""


@pytest.fixture(scope="module")
def lenet(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> DigitsModel:
    """Return LeNet with unsound weights and samples, as it is before calibration."""
    folder = tmp_path_factory.mktemp("lenet")
    shutil.copy(shared / "models/lenet/lenet.prototxt", folder / "lenet.prototxt")
    model = reader.read(str(shared / "models/lenet/lenet_iter_10000.caffemodel"))
    layers = []
    for layer in model.layers:
        blobs = [np.array(blob) for blob in layer.blobs]
        if layer.name == "conv1":
            blobs[0][DEAD_CHANNEL] = 0
            blobs[1].flat[DEAD_CHANNEL] = 0
        if layer.name == "ip1":
            blobs[1].flat[FAR_CHANNEL] = -1e7
        if layer.name == "ip2":
            blobs[0].reshape(10, -1)[2, FAR_CHANNEL] = 300.0
        layers.append((layer.name, layer.type, blobs))
    with open(folder / "unsound.caffemodel", "wb") as stream:
        writer.write(stream, model.name, layers)
    with np.load(shared / "data/mnist.npz") as data:
        pixels = data["x_test"][:SAMPLES, None].astype(np.float32) * np.float32(0.00390625)
        np.savez(folder / "x.npz", data=pixels)
        np.save(folder / "labels.npy", data["y_test"][:SAMPLES])
    return DigitsModel(folder, "lenet.prototxt", "unsound.caffemodel")


def accuracy(lenet: DigitsModel, simulator: Simulator) -> float:
    with np.load(lenet.folder / "x.npz") as arrays:
        classes = simulator.run({"data": arrays["data"]})["prob"].argmax(axis=1)
    return float(np.mean(classes == np.load(lenet.folder / "labels.npy")))


def test_it_names_the_causes_and_its_advice_restores_the_accuracy(lenet: DigitsModel) -> None:
    folder = lenet.folder
    amct(lenet, "ptq", "config", lenet.model, lenet.weights, "-o", "bad.json")
    calibrate(lenet, "bad.json", "bad")
    make_bounds_smaller(folder / "bad/record.txt")
    refused = save(lenet, "bad.json", "bad/record.txt", "bad/model", check=False)
    assert f"the bias of channel {FAR_CHANNEL}" in refused.stderr
    unsaved = ("--unsaved", lenet.model, lenet.weights, "--config", "bad.json")
    options = (*unsaved, "--record", "bad/record.txt", "--advice", "advice.json")
    found: dict[str, Any] = report(lenet, "bad/model", *options)
    causes = [(each["layer"], each["cause"], each["harmless"]) for each in found["findings"]]
    assert causes[0] == ("ip1", "bias out of int32", False)
    assert sorted(causes[1:3]) == [
        ("conv2", "clipping", False),
        ("ip2", "weight outlier", False),
    ]
    assert causes[3:] == [("conv1", "dead channel", True)]

    apply(lenet, "advice.json", "bad.json", "good.json")
    assert json.loads((folder / "good.json").read_text())["ip2"]["quant_enable"] is False
    calibrate(lenet, "good.json", "good")
    save(lenet, "good.json", "good/record.txt", "good/model")
    pair = str(folder / lenet.model), str(folder / lenet.weights)
    float32 = accuracy(lenet, Simulator.from_graph(read_float(pair)))
    assert float32 > 0.97
    integer = accuracy(lenet, Simulator(*deploy_files(str(folder / "good/model"))))
    assert abs(integer - float32) <= 0.005
