"""``mpiexec -n N amct qat train``: the same training as in one process, or an end for all."""

from __future__ import annotations

import os
import re
import signal
import time

import numpy as np
import pytest
from ranks import TIMEOUT, Finished, prepare

pytestmark = pytest.mark.caffe

BATCH, TEST_BATCH = 64, 100


@pytest.fixture
def team(digits, tmp_path):
    """Return a function that prepares a team in a folder of its own."""
    data = {
        "train": str(digits.folder / "train.npz"),
        "test": str(digits.folder / "test.npz"),
        "weights": str(digits.folder / digits.weights),
    }

    def make(size, name=None, **fields):
        folder = tmp_path / (name or f"ranks{size}")
        return prepare(folder, size, data, BATCH, TEST_BATCH, **fields)

    return make


def records_of(*teams):
    from amct_core import record

    return [record.read(str(team.folder / "record.txt")) for team in teams]


def blobs_of(snapshot):
    from amct_caffe.model.formats.caffemodel import reader

    return {
        f"{name}[{index}]": np.asarray(blob, np.float32)
        for name, layer in reader.read(str(snapshot)).by_name().items()
        for index, blob in enumerate(layer.blobs)
    }


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 4])
def test_losses_bounds_and_n_are_those_of_one_process_with_the_global_batch(team, size):
    run = {"max_iter": 50, "test_interval": 25, "snapshot": 20}
    alone, together = team(1, **run), team(size, **run)
    expected, found = alone.train_alone(), together.train().losses
    assert len(found) == len(expected) == 50
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert expected[0] - expected[-1] > 1e-3  # it learns something
    first, second = records_of(alone, together)
    assert list(first.layers) == list(second.layers) == ["conv1", "conv2", "pool2", "ip1", "ip2"]
    for name in first.layers:
        ours, theirs = first.get(name), second.get(name)
        assert ours.scale_d == pytest.approx(theirs.scale_d, rel=1e-6)
        assert (ours.offset_d, ours.shift_bit) == (theirs.offset_d, theirs.shift_bit)


@pytest.mark.parametrize(
    "fields",
    [
        {"iter_size": 2, "clip_gradients": 0.2},
        {"type": "Adam", "momentum2": 0.999, "base_lr": 1e-5},
        {"regularization_type": "L1", "weight_decay": 0.01},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_parameters_are_those_of_one_process_under_every_solver(team, fields):
    run = {"max_iter": 4, "test_interval": 4, **fields}
    alone, together = team(1, **run), team(2, **run)
    alone.train_alone()
    together.train()
    before = blobs_of(alone.folder / "modified.caffemodel")
    expected, found = blobs_of(alone.snapshot(4)), blobs_of(together.snapshot(4))
    assert expected.keys() == found.keys()
    for name in before:
        moved = np.abs(expected[name] - before[name]).max()
        difference = np.abs(found[name] - expected[name]).max()
        # To float32 rounding of the values, and to a thousandth of what training has changed.
        assert difference <= 1e-6 * np.abs(expected[name]).max() + 1e-3 * moved, name


def test_one_rank_writes_and_the_others_keep_quiet(team):
    together = team(2, max_iter=4, test_interval=4)
    finished = together.train("--json")
    assert finished.output.count("snap_iter_4.caffemodel") == 1
    assert finished.errors.count("iteration 3:") == 1
    assert finished.errors.count("layer 'conv1': shift N searched") == 1
    assert re.search(r"training on 2 ranks: rank 0 is process \d+ on .*rank 1 is", finished.errors)
    assert {path.name for path in together.folder.iterdir()} == {
        *("amct_log", "config.json", "modified.caffemodel", "modified.prototxt", "net.prototxt"),
        *("record.txt", "snap_iter_4.caffemodel", "snap_iter_4.solverstate", "solver.prototxt"),
        "snap_caffe.log",
    }
    log = (together.folder / "amct_log" / "amct_caffe.log").read_text()
    assert log.count("iteration 0:") == log.count("training on 2 ranks") == 1


def test_a_killed_rank_ends_the_run_and_its_last_snapshot_resumes_bit_by_bit(team, digits):
    # An epoch of 10 iterations between snapshots: data layers begin again on resuming.
    with np.load(digits.folder / "train.npz") as arrays:
        np.savez(digits.folder / "train.npz", **{key: arrays[key][:640] for key in arrays})
    run = {"test_interval": 30, "snapshot": 10, "display": 0}
    whole = team(2, "whole", max_iter=30, **run)
    whole.train()
    killed = team(2, "killed", max_iter=30_000, **run)
    process = killed.start()
    wait_for(killed.snapshot(10, "solverstate"), process)
    victim = process_of_rank(1, killed)
    os.kill(victim, signal.SIGKILL)
    finished = Finished.of(process)
    assert finished.status != 0
    # Whoever waits for the rank says so; unless the other rank was just then reading from it, and
    # is the first to notice.
    noticed = (
        rf"rank 1 of 2 \(process {victim} on .*: the process was ended by SIGKILL"
        r"|rank 0 of 2 .*: MPI failed, .* another rank has died"
    )
    assert re.search(noticed, finished.output + finished.errors)
    solver = killed.folder / "solver.prototxt"
    solver.write_text(solver.read_text().replace("max_iter: 30000", "max_iter: 30"))
    killed.train("--resume", str(killed.snapshot(10, "solverstate")))
    expected, found = blobs_of(whole.snapshot(30)), blobs_of(killed.snapshot(30))
    assert [name for name in expected if expected[name].tobytes() != found[name].tobytes()] == []


def wait_for(path, process):
    deadline = time.monotonic() + TIMEOUT
    while not path.exists():
        assert process.poll() is None, Finished.of(process).errors
        assert time.monotonic() < deadline
        time.sleep(0.05)


def process_of_rank(rank, team):
    log = (team.folder / "amct_log" / "amct_caffe.log").read_text()
    return int(re.search(rf"rank {rank} is process (\d+)", log).group(1))


FAILING_LAYER = """
import caffe

class Failing(caffe.Layer):
    def setup(self, bottom, top):
        self.left = 2

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        self.left -= 1
        if self.left == 0 and caffe.solver_rank() == 1:
            {action}

    def backward(self, top, propagate_down, bottom):
        pass
"""


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ('raise RuntimeError("the disk is full")', "the disk is full"),
        ("bottom[0].data[...] = float('nan')", "NaN"),
        ("import sys; sys.exit('enough')", "enough"),
        ("from mpi4py import MPI; raise MPI.Exception(MPI.ERR_OTHER)", "another rank has died"),
    ],
    ids=["exception", "NaN", "exit", "MPI"],
)
def test_what_fails_on_one_rank_ends_all_and_is_told_with_its_rank(team, action, message):
    together = team(2, max_iter=1000, test_interval=1000)
    (together.folder / "failing.py").write_text(FAILING_LAYER.format(action=action))
    model = together.folder / "modified.prototxt"
    # In place on the data, before the first quantizer: in its initialisation's second batch.
    failing = (
        'layer { name: "failing" type: "Python" bottom: "data" top: "data" '
        'python_param { module: "failing" layer: "Failing" } }\n'
    )
    first = model.read_text().index("layer {", model.read_text().index("TEST"))
    model.write_text(model.read_text()[:first] + failing + model.read_text()[first:])
    finished = Finished.of(together.start())
    assert finished.status not in (0, None)
    assert re.search(r"Error: rank 1 of 2 \(process \d+ on \S+\): ", finished.errors)
    assert message in finished.errors
    assert "All ranks end." in finished.errors


def test_what_all_ranks_find_wrong_is_told_once(team):
    together = team(2, max_iter=4, test_interval=3)
    finished = Finished.of(together.start())
    assert finished.status == 1
    assert finished.errors.count("Error:") == 1
    assert "does not divide max_iter" in finished.errors


def test_data_that_all_ranks_would_share_is_refused_unless_the_user_says_so(team):
    together = team(2, max_iter=4, test_interval=4)
    model = together.folder / "modified.prototxt"
    (together.folder / "own.py").write_text(
        "from amct_caffe.layers import ArrayData\n\n\n"
        "class Own(ArrayData):\n    shards_by_rank = False\n"
    )
    text = re.sub(
        r'module: "amct_caffe.layers"(\s+)layer: "ArrayData"',
        r'module: "own"\1layer: "Own"',
        model.read_text(),
    )
    assert '"Own"' in text
    model.write_text(text)
    finished = Finished.of(together.start())
    assert finished.status == 1
    assert "layer 'digits'" in finished.errors
    assert "--same-data" in finished.errors
    together.train("--same-data")
