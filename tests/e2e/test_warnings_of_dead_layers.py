"""What quantization turns into a constant is told by layer, when it is first known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest

from amct_caffe.model.formats.caffemodel import writer
from amct_core import workflow
from amct_core.numerics.clipping import ValueRange
from tests.conformance.runner import pretend_training

NETWORK = """
layer { name: "data" type: "Input" top: "data" input_param { shape {
  dim: 2 dim: 3 dim: 4 dim: 4 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
  num_output: 4 kernel_size: 1 } }
layer { name: "norm" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
"""


@attrs.frozen
class Network:
    """The network above in a folder, with the BatchNorm that a test gives it."""

    folder: Path

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def insert(self, variance: list[float], factor: float = 1, **changes: Any) -> None:
        """Insert fake quantization; ``changes`` are those of the layer's or the whole config."""
        (self.folder / "n.prototxt").write_text(NETWORK)
        ones = np.ones(4, np.float32)
        blobs: dict[str, tuple[str, list[Any]]] = {
            "conv": ("Convolution", [np.ones((4, 3, 1, 1), np.float32), ones]),
            "norm": ("BatchNorm", [ones, np.float32(variance), np.float32([factor])]),
            "scale": ("Scale", [ones, ones]),
        }
        with open(self.path("n.caffemodel"), "wb") as stream:
            writer.write(stream, "n", [(name, *rest) for name, rest in blobs.items()])
        files = [self.path(name) for name in ("n.prototxt", "n.caffemodel", "c.json")]
        workflow.create_config(*files)
        config = json.loads((self.folder / "c.json").read_text())
        config["batch_norm"] = changes.pop("batch_norm", "keep")
        config["conv"]["retrain_data_config"].update(changes)
        (self.folder / "c.json").write_text(json.dumps(config))
        modified = [self.path(f"modified.{end}") for end in ("prototxt", "caffemodel")]
        workflow.insert(*files, *modified, self.path("record.txt"))

    def save(self, clip_max: float, clip_min: float) -> None:
        """Save what a training would leave that ended at these bounds."""
        pretend_training(self.folder, {"conv": (clip_max, clip_min)})
        snapshot, record = self.path("snapshot.caffemodel"), self.path("record.txt")
        files = (self.path("saved"), "Both", record, self.path("c.json"))
        workflow.save(self.path("modified.prototxt"), snapshot, *files)


@pytest.fixture
def network(tmp_path: Path) -> Network:
    return Network(tmp_path)


def warnings(caplog: pytest.LogCaptureFixture, words: str) -> list[str]:
    texts = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    return [text for text in texts if words in text]


@pytest.mark.parametrize("mode", ["keep", "fold"])
def test_a_variance_of_0_is_told_at_insertion(
    network: Network, caplog: pytest.LogCaptureFixture, mode: str
) -> None:
    network.insert([1, 0, 2, 0], batch_norm=mode)
    (text,) = warnings(caplog, "the stored variance")
    assert text.startswith("layer 'norm': the stored variance of channels 1, 3 is 0")
    assert "by 316 " in text  # 1 / sqrt(1e-5)


def test_a_batch_norm_without_statistics_is_told_at_insertion(
    network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    network.insert([0, 0, 0, 0], factor=0)
    (text,) = warnings(caplog, "statistics (")
    assert text.startswith("1 BatchNorm layers have no statistics ('norm')")


def test_variances_above_0_are_not_told(network: Network, caplog: pytest.LogCaptureFixture) -> None:
    network.insert([1, 1e-9, 2, 3])
    assert not warnings(caplog, "the stored variance")


def test_bounds_of_the_config_below_the_smallest_scale_are_told_at_insertion(
    network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    network.insert([1, 1, 1, 1], clip_max=1e-5, clip_min=-1e-5)
    (text,) = warnings(caplog, "scale_d is 1.0")
    assert text.startswith("layer 'conv': clip_max 1e-05 and clip_min -1e-05 of its config")


def test_bounds_that_training_has_drawn_together_are_told_at_save(
    network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    network.insert([1, 1, 1, 1])
    network.save(1e-6, -1e-6)
    (text,) = warnings(caplog, "scale_d is 1.0")
    assert text.startswith("layer 'conv': its clip bounds 1e-06 and -1e-06")


def test_ordinary_bounds_are_not_told(network: Network, caplog: pytest.LogCaptureFixture) -> None:
    network.insert([1, 1, 1, 1], clip_max=1.0, clip_min=-1.0)
    network.save(1.0, -1.0)
    assert not warnings(caplog, "scale_d is 1.0")


@pytest.mark.parametrize(
    ("largest", "told"), [(0.0, True), (-1e-9, True), (3e-5, True), (4e-5, False), (-1.0, False)]
)
def test_an_input_that_is_as_good_as_0_is_told_with_its_first_bounds(
    caplog: pytest.LogCaptureFixture, largest: float, told: bool
) -> None:
    from amct_caffe.qat.dead import warn_of_dead_input

    seen = ValueRange().observed(np.zeros((2, 3), np.float32)).observed([[0, largest]])
    warn_of_dead_input(("conv", "other"), seen, 2)
    found = warnings(caplog, "layer 'conv, other': its input lies between")
    assert bool(found) == told


@pytest.mark.caffe
def test_training_on_zeros_tells_once(network: Network, caplog: pytest.LogCaptureFixture) -> None:
    from amct_caffe.runtime.pycaffe import TRAIN, caffe

    network.insert([1, 1, 1, 1])
    net = caffe.Net(network.path("modified.prototxt"), TRAIN)
    net.copy_from(network.path("modified.caffemodel"))
    for _ in range(3):
        net.blobs["data"].data[...] = 0
        net.forward()
    (text,) = warnings(caplog, "its input lies between")
    assert text.startswith("layer 'conv': its input lies between 0 and 0 in all of the 1 batches")
