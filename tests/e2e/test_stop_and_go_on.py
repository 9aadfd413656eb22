"""Training that is stopped by a signal, and what goes on from there."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Iterator, List

import numpy as np
import pytest
from ranks import TIMEOUT, Team, prepare

pytestmark = pytest.mark.caffe

SOLVER = ("qat", "train", "solver.prototxt", "--weights", "modified.caffemodel")
LONG = 30_000
RUN = {"test_interval": 30, "snapshot": 0, "display": 1}


@pytest.fixture
def data(digits):
    """Return files of one batch: data layers begin again on resuming, here with the same one."""
    for name, count in (("train", 64), ("test", 100)):
        with np.load(digits.folder / f"{name}.npz") as arrays:
            few = {key: arrays[key][:count] for key in arrays}
        np.savez(digits.folder / f"{name}.npz", **few)
    return {
        "train": str(digits.folder / "train.npz"),
        "test": str(digits.folder / "test.npz"),
        "weights": str(digits.folder / digits.weights),
    }


@pytest.fixture
def team(data, tmp_path):
    """Return a function that prepares training in a folder of its own."""

    def make(name: str, size: int = 1, **fields: Any) -> Team:
        return prepare(tmp_path / name, size, data, 64, 100, **{**RUN, **fields})

    return make


def own_environment() -> dict[str, str]:
    """Return the environment without what other tests say of Caffe's log, which is read here."""
    return {name: text for name, text in os.environ.items() if name != "GLOG_minloglevel"}


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "amct_core", *arguments],
        cwd=folder,
        env={**own_environment(), "OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    out, err = process.communicate(timeout=TIMEOUT)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = finish(start(folder, *arguments))
    assert done.returncode == 0, done.stderr
    return done


def wait_for_lines(path: Path, count: int, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + TIMEOUT
    while not path.exists() or path.read_text().count("\n") < count:
        assert process.poll() is None, finish(process).stderr
        assert time.monotonic() < end
        time.sleep(0.01)


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def shorten(folder: Path, iterations: int, solver: str = "solver.prototxt") -> None:
    change(folder / solver, f"max_iter: {LONG}", f"max_iter: {iterations}")


def blobs(path: Path) -> List[bytes]:
    from amct_caffe.model.formats.caffemodel import reader

    return [
        np.asarray(blob, np.float32).tobytes()
        for layer in reader.read(str(path)).layers
        for blob in layer.blobs
    ]


def command_in(text: str) -> List[str]:
    """Return the arguments of ``amct`` in the message that says how to go on."""
    words = shlex.split(text.strip().splitlines()[-1].split("Go on with: ")[1])
    assert words[0] == "amct"
    return words[1:]


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_keeps_what_was_learned_and_the_printed_command_goes_on_bit_by_bit(
    team, name, status
):
    stopped = team("stopped", max_iter=LONG)
    process = start(stopped.folder, *SOLVER, "--metrics", "m.jsonl")
    wait_for_lines(stopped.folder / "m.jsonl", 3, process)
    process.send_signal(getattr(signal, name))
    done = finish(process)
    assert done.returncode == status
    assert "Stopped before iteration" in done.stderr
    (state,) = stopped.folder.glob("snap_iter_*.solverstate")
    iterations = int(state.stem.split("_")[-1]) + 5
    rounded = -(-iterations // 30) * 30
    shorten(stopped.folder, rounded)
    arguments = command_in(done.stderr)
    assert "--weights" not in arguments
    assert state.name in arguments
    run(stopped.folder, *arguments)

    whole = team("whole", max_iter=rounded)
    run(whole.folder, *SOLVER)
    assert blobs(stopped.snapshot(rounded)) == blobs(whole.snapshot(rounded))
    assert (stopped.folder / "record.txt").read_text() == (whole.folder / "record.txt").read_text()

    lines = [json.loads(line) for line in (stopped.folder / "m.jsonl").read_text().splitlines()]
    numbers = [line["iteration"] for line in lines if "loss" in line]
    assert numbers == list(range(rounded)), "each iteration once, before and after the stop"
    assert {"loss", "losses", "lr", "seconds", "bounds"} <= set(lines[1])
    scores = [line for line in lines if "test" in line]
    assert scores[-1]["iteration"] == rounded
    assert 0 <= scores[-1]["test"]["accuracy"] <= 1
    log = (stopped.folder / "snap_caffe.log").read_text()
    assert "Solving" in log


def test_a_signal_in_a_test_pass_is_heeded_at_once_and_loses_nothing(team):
    stopped = team("stopped", max_iter=60, test_iter=1_000_000, snapshot=30)
    process = start(stopped.folder, *SOLVER, "--metrics", "m.jsonl")
    wait_for_lines(stopped.folder / "m.jsonl", 30, process)
    while not (stopped.folder / "snap_iter_30.solverstate").exists():
        time.sleep(0.01)
    time.sleep(0.5)  # into the TEST pass, which would take hours
    process.send_signal(signal.SIGTERM)
    done = finish(process)
    assert done.returncode == 143
    assert "Traceback" not in done.stderr
    assert "Stopped before iteration 30 of 60; 'snap_iter_30.solverstate'" in done.stderr
    change(stopped.folder / "solver.prototxt", "1000000", "2")
    run(stopped.folder, *command_in(done.stderr))

    whole = team("whole", max_iter=60, test_iter=2)
    run(whole.folder, *SOLVER)
    assert blobs(stopped.snapshot(60)) == blobs(whole.snapshot(60))
    assert (stopped.folder / "record.txt").read_text() == (whole.folder / "record.txt").read_text()


def test_a_run_that_was_stopped_goes_on_when_it_is_called_again(digits, data):
    folder = digits.folder
    solver = (
        'net: "x" base_lr: 1e-4 lr_policy: "fixed" momentum: 0.9 max_iter: 30000 '
        'test_iter: 1 test_interval: 30000 test_initialization: false snapshot_prefix: "x" '
        "random_seed: 1 display: 1\n"
    )
    (folder / "solver.prototxt").write_text(solver)
    arguments = ("qat", "run", digits.model, digits.weights, "--solver", "solver.prototxt")
    arguments += ("-o", "q", "--metrics", "m.jsonl")

    def solvers_in_log() -> int:
        return (folder / "q/caffe.log").read_text().count("] Solver scaffolding done.")

    process = start(folder, *arguments)
    wait_for_lines(folder / "m.jsonl", 3, process)

    second = finish(start(folder, *arguments))
    assert second.returncode == 1
    assert "another run is at work here: process " in second.stderr

    process.send_signal(signal.SIGTERM)
    done = finish(process)
    assert done.returncode == 143
    assert command_in(done.stderr) == list(arguments)
    assert not (folder / "q/result").exists()
    assert not (folder / "q/run.lock").exists()
    (state,) = (folder / "q").glob("snapshot_iter_*.solverstate")
    stopped_at = int(state.stem.split("_")[-1])

    # What the run was begun with has changed.
    change(folder / "solver.prototxt", "1e-4", "1e-5")
    other = finish(start(folder, *arguments))
    assert other.returncode == 1
    assert "changed since: solver" in other.stderr
    assert "--restart" in other.stderr
    change(folder / "solver.prototxt", "1e-5", "1e-4")

    # The end comes sooner than a test can wait for; the run knows its own solver by its digest.
    for path in (folder / "solver.prototxt", folder / "q/solver.prototxt"):
        change(path, "30000", str(stopped_at + 10))
    forge_digests(folder / "q", folder / "solver.prototxt")
    again = run(folder, *("q/" if word == "q" else word for word in arguments))
    assert f"it goes on after iteration {stopped_at}" in again.stderr
    assert "q/result/model_deploy_weights.caffemodel" in again.stdout
    numbers = [json.loads(line) for line in (folder / "m.jsonl").read_text().splitlines()]
    iterations = [line["iteration"] for line in numbers if "loss" in line]
    assert iterations == list(range(stopped_at + 10))
    assert solvers_in_log() == 2, "of the run that was stopped, and of the one that went on"

    # All is done; what was saved can be had once more, without a TEST pass.
    before = {path.name: path.read_bytes() for path in (folder / "q/result").iterdir()}
    (folder / "q/result/model_deploy_model.prototxt").unlink()
    finished = run(folder, *arguments)
    assert "'q' has a finished training with the same inputs; it is saved" in finished.stderr
    assert {path.name: path.read_bytes() for path in (folder / "q/result").iterdir()} == before
    assert solvers_in_log() == 2
    assert [json.loads(line) for line in (folder / "m.jsonl").read_text().splitlines()] == numbers

    # A file that the run had made is another one now.
    (folder / "q/modified_model.caffemodel").write_bytes(b"")
    changed = finish(start(folder, *arguments))
    assert changed.returncode == 1
    assert "q/modified_model.caffemodel: it is gone or was changed" in changed.stderr
    restarted = run(folder, *arguments, "--restart")
    assert "it goes on" not in restarted.stderr
    numbers = [json.loads(line) for line in (folder / "m.jsonl").read_text().splitlines()]
    assert numbers[0]["iteration"] == 0
    assert solvers_in_log() == 1


def forge_digests(folder: Path, solver: Path) -> None:
    """Have a run believe that it was begun with ``solver``."""
    from amct_caffe.training.run_folder import digest

    before = (folder / "run.json").stat()
    state = json.loads((folder / "run.json").read_text())
    state["inputs"]["solver"] = digest(str(solver))
    state["made"]["solver.prototxt"] = digest(str(folder / "solver.prototxt"))
    (folder / "run.json").write_text(json.dumps(state))
    os.utime(folder / "run.json", ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_signal_to_one_rank_stops_all_after_the_same_iteration(team):
    together = team("together", size=2, max_iter=LONG)
    process = together.start("--metrics", "m.jsonl")
    wait_for_lines(together.folder / "m.jsonl", 3, process)
    with waiting_processes(process.pid) as ranks:
        os.kill(ranks[-1], signal.SIGTERM)
    done = finish(process)
    assert done.returncode != 0
    assert done.stderr.count("Stopped before iteration") == 1
    assert (
        "Go on with: mpiexec -n 2 amct qat train solver.prototxt --resume snap_iter_" in done.stderr
    )
    (state,) = together.folder.glob("snap_iter_*.solverstate")
    rounded = -(-(int(state.stem.split("_")[-1]) + 1) // 30) * 30
    shorten(together.folder, rounded)
    together.train("--resume", state.name)
    whole = team("whole", size=2, max_iter=rounded)
    whole.train()
    assert blobs(together.snapshot(rounded)) == blobs(whole.snapshot(rounded))


def test_a_signal_to_the_launcher_does_the_same(team):
    together = team("together", size=2, max_iter=LONG)
    process = together.start("--metrics", "m.jsonl")
    wait_for_lines(together.folder / "m.jsonl", 3, process)
    process.send_signal(signal.SIGINT)
    done = finish(process)
    assert done.returncode == 130
    assert done.stderr.count("Stopped before iteration") == 1
    assert len(list(together.folder.glob("snap_iter_*.solverstate"))) == 1


@contextlib.contextmanager
def waiting_processes(launcher: int) -> Iterator[List[int]]:
    """Yield the ranks that the launcher started, each of which waits for one that trains."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes().split(b"\0")
                parent = parent_of(int(entry.name))
                if b"amct_core" in command and b"train" in command:
                    found.append((int(entry.name), parent))
    processes = {pid for pid, _ in found}
    yield sorted(
        pid for pid, parent in found if parent not in processes and descends(pid, launcher)
    )


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def descends(pid: int, ancestor: int) -> bool:
    while pid > 1:
        if pid == ancestor:
            return True
        pid = parent_of(pid)
    return False
