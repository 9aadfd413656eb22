"""A plugin's parameters, learned parameters and state on their way through the whole workflow.

The activation algorithm is the second example of its hook: it keeps the largest magnitude, learns a
slack and has a parameter.  The calibrator's and the search's result follow from a parameter alone.
"""

from __future__ import annotations

import inspect
import itertools
import json
import textwrap
from pathlib import Path

import numpy as np
import pytest
from digits import run_python
from third_party import install, write_distribution

from amct_core import hookspecs

pytestmark = pytest.mark.caffe

OTHERS = """
import attrs
from amct_core.extensions import Calibrator, ShiftSearch


@attrs.frozen
class OfCalibrator:
    scale: float = 0.25


def calibrate(batches, scale, with_offset=True):
    return np.float32(scale), 0


@attrs.frozen
class OfSearch:
    n: int = 4


class Constant:
    def __init__(self, deq_scale, broadcast, parameters):
        self.found = np.full(len(deq_scale), parameters.n, np.uint8)

    def observe(self, y):
        pass

    def result(self):
        return self.found


@hookimpl
def amct_calibrators():
    return [Calibrator("constant", calibrate, parameters=OfCalibrator)]


@hookimpl
def amct_shift_searches():
    return [ShiftSearch("constant", Constant, parameters=OfSearch)]
"""

CHOICES = ("--activation-algo", "running_maximum", "--init-algo", "constant")
CHOICES += ("--shift-n-algo", "constant")
SET = (
    "shift_n_algo_parameters.n=7",
    "type:*.retrain_data_config.algo_parameters.share=0.75",
    "type:*.retrain_data_config.init_algo_parameters.scale=0.5",
)


def second_example() -> str:
    """Return the second block of code of the hook of activation algorithms."""
    lines = inspect.cleandoc(hookspecs.amct_activation_algorithms.__doc__).splitlines()
    begin = [i for i, line in enumerate(lines) if line.endswith("::")][1] + 1
    block = itertools.takewhile(lambda each: not each or each[0] == " ", lines[begin:])
    return textwrap.dedent("\n".join(block))


def amct(folder: Path, *arguments: str, check: bool = True):
    return run_python(folder, "-m", "amct_core", *arguments, check=check)


@pytest.fixture
def trained(digits, tmp_path, monkeypatch) -> Path:
    """Return the folder of a training with the plugin."""
    site = tmp_path / "site"
    install(write_distribution(tmp_path, "own", second_example() + OTHERS), site)
    monkeypatch.setenv("PYTHONPATH", str(site))
    folder = digits.folder
    sets = [word for each in SET for word in ("--set", each)]
    amct(folder, "qat", "config", digits.model, digits.weights, "-o", "c.json", *CHOICES, *sets)
    amct(folder, "qat", "insert", digits.model, digits.weights, "-c", "c.json", "-o", "q")
    from amct_caffe.demo import network

    solver = network.solver_prototxt("q/modified_model.prototxt", "q/qat", 12, 0.01)
    (folder / "solver.prototxt").write_text(solver)
    amct(folder, "qat", "train", "solver.prototxt", "--weights", "q/modified_model.caffemodel")
    return folder


def blobs_of(snapshot: Path, layer: str):
    from amct_caffe.model.formats.caffemodel import reader

    return [np.asarray(b, np.float32) for b in reader.read(str(snapshot)).by_name()[layer].blobs]


def test_they_go_from_the_config_to_the_proof(trained):
    from amct_core import record

    config = json.loads((trained / "c.json").read_text())
    assert config["shift_n_algo_parameters"] == {"n": 7}
    data = config["conv1"]["retrain_data_config"]
    assert (data["algo_parameters"], data["init_algo_parameters"]) == (
        {"share": 0.75},
        {"scale": 0.5},
    )
    save = ("qat", "save", "q/modified_model.prototxt", "q/qat_iter_12.caffemodel")
    saved = amct(trained, *save, "--record", "q/record.txt", "--save-path", "r/m")
    assert "N was searched at other bounds" not in saved.stderr
    clip_max, clip_min, _, slack, largest = blobs_of(
        trained / "q/qat_iter_12.caffemodel", "conv1_activation_qat"
    )
    # 12 batches of 64: all that training has seen.
    with np.load(trained / "train.npz") as arrays:
        seen = np.abs(arrays["data"][: 12 * 64]).max()
    assert largest == seen
    assert slack != np.float32(0.01)  # it was learned
    assert (clip_max, clip_min) == (127 * 0.5, -128 * 0.5)
    found = record.read(str(trained / "q/record.txt"))
    expected = (np.float32(0.75) * seen + abs(slack[0])) / np.float32(127)
    assert np.float32(found.get("conv1").scale_d) == pytest.approx(expected, rel=1e-6)
    assert set(found.get("conv2").shift_bit) == {7}
    with np.load(trained / "test.npz") as arrays:
        np.savez(trained / "x.npz", data=arrays["data"][:200])
    report = json.loads(amct(trained, "verify", "r/m", "--data", "x.npz", "--json").stdout)
    assert report["exact_integers"] is True


TEST_PASS = """
import caffe, numpy as np
net = caffe.Net("q/modified_model.prototxt", caffe.TEST, weights="q/qat_iter_12.caffemodel")
blob = net.params["conv1_activation_qat"][4].data
before = blob.copy()
net.blobs["data"].data[...] = 100
net.forward(start="conv1_activation_qat")
assert np.array_equal(blob, before), (blob, before)
"""


def test_a_test_pass_leaves_state_alone(trained):
    run_python(trained, "-c", TEST_PASS)


def test_a_snapshot_without_the_blobs_is_refused_by_name(trained):
    """One of an algorithm that has fewer, such as an older version of the plugin."""
    from amct_caffe.model.formats.caffemodel import reader, writer

    snapshot = trained / "q/qat_iter_12.caffemodel"
    layers = [
        (
            each.name,
            each.type,
            list(each.blobs)[:4] if "activation_qat" in each.name else each.blobs,
        )
        for each in reader.read(str(snapshot)).layers
    ]
    with (trained / "old.caffemodel").open("wb") as stream:
        writer.write(stream, "n", layers)
    save = ("qat", "save", "q/modified_model.prototxt", "old.caffemodel", "--save-path", "r/m")
    refused = amct(trained, *save, "--record", "q/record.txt", check=False)
    assert refused.returncode == 1
    assert "has 4 blobs for it; expected 5 (clip_max, clip_min, state, slack, largest)" in (
        refused.stderr
    )
    assert not (trained / "r").exists()
