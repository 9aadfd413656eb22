"""``examples/lsq_plugin`` is installed: its steps are trained in Caffe, saved and proven.

They live in the snapshot, so resuming and several ranks give what one run gives.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Dict

import attrs
import numpy as np
import pytest
from digits import REPOSITORY, DigitsModel, run_python
from ranks import SOLVER, Team
from third_party import install

EXAMPLE = REPOSITORY / "examples/lsq_plugin"
LEARNED = {"begin": "paper", "first_step": 2.0, "gradient_scale": 1.0}
CHOICES = ("--activation-algo", "lsq", "--weight-algo", "lsq", "--batch-num", "2")
BATCH = 64


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Return a folder that the example is installed into."""
    folder = tmp_path_factory.mktemp("site")
    install(EXAMPLE, folder)
    return folder


@pytest.fixture(autouse=True)
def installed(site, monkeypatch) -> None:
    """Put the installed example on the path of the processes that a test starts."""
    monkeypatch.setenv("PYTHONPATH", str(site))


def amct(folder: Path, *arguments: str, check: bool = True):
    return run_python(folder, "-m", "amct_core", *arguments, check=check)


def config_of(digits: DigitsModel, *more: str) -> Path:
    amct(digits.folder, "qat", "config", digits.model, digits.weights, "-o", "c.json", *more)
    return digits.folder / "c.json"


def blobs_of(snapshot: Path) -> Dict[str, np.ndarray]:
    from amct_caffe.model.formats.caffemodel import reader

    return {
        f"{name}[{index}]": np.asarray(blob, np.float32)
        for name, layer in reader.read(str(snapshot)).by_name().items()
        for index, blob in enumerate(layer.blobs)
    }


def test_amct_plugins_lists_it_with_its_parameters(tmp_path):
    listed = json.loads(amct(tmp_path, "plugins", "--json").stdout)["provided"]
    for kind in ("activation_algorithms", "weight_algorithms"):
        (found,) = (each for each in listed[kind] if each["name"] == "lsq")
        assert {each["name"]: each["default"] for each in found["parameters"]} == LEARNED
    assert "lsq: first_step (float, default 2.0)" in amct(tmp_path, "plugins").stdout


@pytest.mark.caffe
def test_the_config_has_the_parameters_and_a_wrong_one_is_refused(digits):
    path = config_of(digits, *CHOICES)
    config = json.loads(path.read_text())
    assert config["conv1"]["retrain_data_config"]["algo_parameters"] == LEARNED
    assert config["conv1"]["retrain_weight_config"]["algo_parameters"] == LEARNED
    config["conv2"]["retrain_weight_config"]["algo_parameters"]["first_step"] = 0
    path.write_text(json.dumps(config))
    insert = ("qat", "insert", digits.model, digits.weights, "-c", "c.json", "-o", "q")
    refused = amct(digits.folder, *insert, check=False)
    assert refused.returncode == 1
    assert "c.json, layer 'conv2', field 'retrain_weight_config.algo_parameters.first_step'" in (
        refused.stderr
    )
    assert "weight algorithm 'lsq' refuses" in refused.stderr
    assert not (digits.folder / "q").exists()


@pytest.fixture
def team(digits, tmp_path):
    """Return a function that prepares training, alone or on several ranks."""

    def make(name: str, size: int = 1, choices=CHOICES, **fields) -> Team:
        from amct_caffe.demo import network

        folder = tmp_path / name
        folder.mkdir()
        data = (str(digits.folder / "train.npz"), str(digits.folder / "test.npz"))
        text = network.train_test_prototxt(*data, BATCH // size, 100 // size)
        (folder / "net.prototxt").write_text(text)
        weights = str(digits.folder / digits.weights)
        amct(folder, "qat", "config", "net.prototxt", weights, "-o", "config.json", *choices)
        amct(folder, "qat", "insert", "net.prototxt", weights, "-c", "config.json", "-o", ".")
        for kind in ("prototxt", "caffemodel"):
            (folder / f"modified_model.{kind}").rename(folder / f"modified.{kind}")
        solver = {**SOLVER, "display": 0, **fields}
        text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in solver.items())
        (folder / "solver.prototxt").write_text(text)
        return Team(folder, size)

    return make


def train(team: Team, *arguments: str) -> None:
    amct(team.folder, "qat", "train", "solver.prototxt", *arguments)


START = ("--weights", "modified.caffemodel")


@pytest.mark.caffe
def test_what_training_made_of_the_steps_is_what_is_saved_and_it_is_exact(team, digits):
    trained = team("whole", max_iter=20, test_interval=20, base_lr=0.01)
    train(trained, *START)
    blobs, first = (
        blobs_of(trained.snapshot(20)), blobs_of(trained.folder / "modified.caffemodel"),
    )  # fmt: skip
    assert not np.array_equal(blobs["conv2_weight_qat[2]"], first["conv2_weight_qat[2]"])
    save = ("qat", "save", "modified.prototxt", "snap_iter_20.caffemodel", "--record", "record.txt")
    saved = amct(trained.folder, *save, "--save-path", "r/m")
    # N was searched with the steps of the snapshot.
    assert "N was searched at other bounds" not in saved.stderr
    record = read_record(trained)
    for layer in ("conv1", "conv2", "ip1", "ip2"):
        entry = record.get(layer)
        assert np.float32(entry.scale_d) == blobs[f"{layer}_activation_qat[3]"][0]
        assert np.array_equal(np.float32(entry.scale_w), blobs[f"{layer}_weight_qat[2]"])
    # Those behind a ReLU use all 256 integers; the images are not known to be above 0.
    assert [record.get(each).offset_d for each in ("conv1", "ip2")] == [0, -128]
    with np.load(digits.folder / "test.npz") as arrays:
        np.savez(trained.folder / "x.npz", data=arrays["data"][:200])
    report = amct(trained.folder, "verify", "r/m", "--data", "x.npz", "--json").stdout
    assert json.loads(report)["exact_integers"] is True


def read_record(team: Team):
    from amct_core import record

    return record.read(str(team.folder / "record.txt"))


@pytest.mark.caffe
def test_a_resumed_training_ends_with_the_same_bits(team, digits):
    # One batch: data layers begin again on resuming.
    with np.load(digits.folder / "train.npz") as arrays:
        np.savez(digits.folder / "train.npz", **{key: arrays[key][:BATCH] for key in arrays})
    run = {"test_interval": 4, "snapshot": 4, "max_iter": 8, "base_lr": 0.01}
    whole, resumed = team("whole", **run), team("resumed", **run)
    train(whole, *START)
    train(resumed, *START)
    resumed.snapshot(8).unlink()
    train(resumed, "--resume", "snap_iter_4.solverstate")
    expected, found = blobs_of(whole.snapshot(8)), blobs_of(resumed.snapshot(8))
    assert [name for name in expected if expected[name].tobytes() != found[name].tobytes()] == []
    for ours, theirs in zip(*(read_record(each).layers.values() for each in (whole, resumed))):
        assert attrs.asdict(ours) == attrs.asdict(theirs)


@pytest.mark.caffe
def test_two_ranks_learn_what_one_process_with_the_whole_batch_learns(team):
    run = {"max_iter": 6, "test_interval": 6, "snapshot": 6}
    alone, together = team("alone", **run), team("together", 2, **run)
    train(alone, *START)
    together.train()  # ends with a check that the ranks' parameters are the same bits
    before = blobs_of(alone.folder / "modified.caffemodel")
    expected, found = blobs_of(alone.snapshot(6)), blobs_of(together.snapshot(6))
    for name in before:
        moved = np.abs(expected[name] - before[name]).max()
        difference = np.abs(found[name] - expected[name]).max()
        assert difference <= 1e-6 * np.abs(expected[name]).max() + 1e-3 * moved, name
