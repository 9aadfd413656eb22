"""``amct report`` on a sound network that was made unsound in three layers, and its advice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from digits import DigitsModel, run_python

from amct_caffe.model.formats.caffemodel import reader, writer
from amct_core import record as records

pytestmark = pytest.mark.caffe

UNSOUND = "unsound.caffemodel"
DEAD_CHANNEL = 5
"""Of ip1: what reads it can have any weight."""
FAR_CHANNEL = 14
"""Of conv1: its bias is out of int32."""
CLIPPED = "conv2"


def make_unsound(digits: DigitsModel) -> None:
    """Write weights that compute nearly the same in float32, and badly in int8."""
    model = reader.read(str(digits.folder / digits.weights))
    layers = []
    for layer in model.layers:
        blobs = [np.array(blob) for blob in layer.blobs]
        if layer.name == "conv1":
            blobs[1][FAR_CHANNEL] = -1e6  # ReLU makes 0 of it, and so of the channel
        if layer.name == "ip1":
            blobs[0][DEAD_CHANNEL] = 0
            blobs[1][DEAD_CHANNEL] = 0
        if layer.name == "ip2":
            blobs[0][2, DEAD_CHANNEL] = 300.0
        layers.append((layer.name, layer.type, blobs))
    with open(digits.folder / UNSOUND, "wb") as stream:
        writer.write(stream, model.name, layers)


def amct(digits: DigitsModel, *arguments: str, check: bool = True) -> Any:
    return run_python(digits.folder, "-m", "amct_core", *arguments, check=check)


def calibrate(digits: DigitsModel, config: str, folder: str) -> None:
    inputs = (digits.model, digits.weights, "-c", config, "-o", folder)
    amct(digits, "ptq", "calibrate", *inputs, "--engine", "simulator", "--data", "x.npz")


def save(digits: DigitsModel, config: str, record: str, prefix: str, check: bool = True) -> Any:
    with np.load(digits.folder / "x.npz") as arrays:
        shape = "data:1," + ",".join(map(str, arrays["data"].shape[1:]))
    inputs = (digits.model, digits.weights, "-c", config, "--record", record)
    options = ("--save-path", prefix, "--input-shape", shape)
    return amct(digits, "ptq", "save", *inputs, *options, check=check)


def make_bounds_smaller(record: Path) -> None:
    """Make the bounds of one layer ten times as small as calibration has found them."""
    whole = records.read(str(record))
    entry = whole.get(CLIPPED)
    assert entry.scale_d is not None
    smaller = attrs.evolve(entry, scale_d=np.float32(entry.scale_d) / np.float32(10))
    record.write_text(records.format(whole.with_layers({**whole.layers, CLIPPED: smaller})))


def report(digits: DigitsModel, *options: str) -> dict[str, Any]:
    printed = amct(digits, "report", *options, "--data", "x.npz", "--json").stdout
    found: dict[str, Any] = json.loads(printed)
    return found


def apply(digits: DigitsModel, advice: str, config: str, output: str) -> None:
    """Change a configuration by the report's advice."""
    pair = (digits.model, digits.weights)
    amct(digits, "ptq", "config", *pair, "--base", config, "--apply", advice, "-o", output)


def accuracy(
    digits: DigitsModel, files: tuple[str, str] | None = None, prefix: str = "good/model"
) -> float:
    """Return the accuracy of a saved model in integers, or of a float pair in Caffe."""
    with np.load(digits.folder / "test.npz") as arrays:
        data, labels = arrays["data"], arrays["label"]
    if files is None:
        amct(digits, "simulate", prefix, "--data", "x.npz", "-o", "y.npz")
        with np.load(digits.folder / "y.npz") as arrays:
            return float(np.mean(arrays["prob"].argmax(axis=1) == labels))
    script = (
        "import caffe, numpy as np, sys; net = caffe.Net(sys.argv[1], caffe.TEST, "
        "weights=sys.argv[2]); "
        "print(np.mean([float(net.forward()['accuracy']) for _ in range(5)]))"
    )
    assert len(data) == 500
    return float(run_python(digits.folder, "-c", script, *files).stdout.split()[-1])


@pytest.fixture(scope="module")
def unsound(trained_digits: DigitsModel, tmp_path_factory: pytest.TempPathFactory) -> DigitsModel:
    """Return a network that was calibrated with three unsound layers, and that saving refuses."""
    folder = tmp_path_factory.mktemp("unsound") / "work"
    shutil.copytree(trained_digits.folder, folder)
    digits = DigitsModel(folder)
    with np.load(folder / "test.npz") as arrays:
        np.savez(folder / "x.npz", data=arrays["data"])
    make_unsound(digits)
    digits = DigitsModel(folder, weights=UNSOUND)
    amct(digits, "ptq", "config", digits.model, digits.weights, "-o", "bad.json")
    calibrate(digits, "bad.json", "bad")
    make_bounds_smaller(folder / "bad/record.txt")
    refused = save(digits, "bad.json", "bad/record.txt", "bad/model", check=False)
    assert refused.returncode
    assert "the bias of channel 14" in refused.stderr
    return digits


@pytest.fixture(scope="module")
def found(unsound: DigitsModel) -> dict[str, Any]:
    calibrated = ("--config", "bad.json", "--record", "bad/record.txt", "--advice", "advice.json")
    return report(unsound, "bad/model", "--unsaved", unsound.model, unsound.weights, *calibrated)


def test_the_three_layers_come_first_with_their_causes(found: dict[str, Any]) -> None:
    first = [(each["layer"], each["cause"]) for each in found["findings"][:3]]
    assert first[0] == ("conv1", "bias out of int32")
    assert sorted(first[1:]) == [("conv2", "clipping"), ("ip2", "weight outlier")]
    costly = [each for each in found["findings"] if not each["harmless"]]
    assert {each["layer"] for each in costly} == {"conv1", "conv2", "ip2"}


def test_a_dead_channel_is_said_to_be_harmless(found: dict[str, Any]) -> None:
    harmless = [each for each in found["findings"] if each["harmless"]]
    assert ("ip1", "dead channel") in [(each["layer"], each["cause"]) for each in harmless]
    assert found["findings"][-len(harmless) :] == harmless
    (ip1,) = (layer for layer in found["layers"] if layer["name"] == "ip1")
    assert ip1["weights"]["dead"] == [DEAD_CHANNEL]


def test_its_advice_restores_the_accuracy(unsound: DigitsModel, found: dict[str, Any]) -> None:
    apply(unsound, "advice.json", "bad.json", "good.json")
    calibrate(unsound, "good.json", "good")
    save(unsound, "good.json", "good/record.txt", "good/model")
    float32 = accuracy(unsound, (unsound.model, unsound.weights))
    assert float32 > 0.7  # the fixture trains for a moment only
    assert abs(accuracy(unsound) - float32) <= 0.005
    saved = report(unsound, "good/model", "--float", unsound.model, unsound.weights)
    assert all(each["harmless"] for each in saved["findings"])


def test_its_advice_for_training_restores_the_accuracy(
    unsound: DigitsModel, found: dict[str, Any]
) -> None:
    solver = unsound.folder / "retrain.prototxt"
    solver.write_text(
        f'net: "{unsound.model}" base_lr: 1e-4 lr_policy: "fixed" max_iter: 20 '
        'test_iter: 5 test_interval: 20 test_initialization: false snapshot_prefix: "s"\n'
    )
    inputs = (unsound.model, unsound.weights, "--solver", str(solver), "-o", "retrained")
    amct(unsound, "qat", "run", *inputs, "--apply", "advice.json")
    float32 = accuracy(unsound, (unsound.model, unsound.weights))
    assert accuracy(unsound, prefix="retrained/result/model") >= float32 - 0.005
