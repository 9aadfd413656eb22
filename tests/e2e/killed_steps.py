"""Runs steps of the workflow in processes that are killed at random moments; see its test.

Usage: ``python -m tests.e2e.killed_steps FOLDER KILLS SEED``.  Prints what was seen as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs
import numpy as np

import cpu_sim_backend.data.choice
import cpu_sim_backend.simulator  # noqa: F401
from amct_core import workflow
from amct_core.files import map_file, read_text
from cpu_sim_backend.cli import simulate
from tests.conformance.runner import pretend_training
from tests.conformance.weights import write_random_weights

NETWORK = """
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{
  dim: 4 dim: 3 dim: 16 dim: 16 }} }} }}
layer {{ name: "one" type: "Convolution" bottom: "data" top: "one"
  convolution_param {{ num_output: {outputs} kernel_size: 3 pad: 1 }} }}
layer {{ name: "relu" type: "ReLU" bottom: "one" top: "one" }}
layer {{ name: "two{outputs}" type: "InnerProduct" bottom: "one" top: "two"
  inner_product_param {{ num_output: 5 }} }}
"""
VARIANTS = ("a", "b")
"""Two networks, so that each file of one differs from that of the other."""

_LATE = 0.5
"""Share of the kills that come in the last third of a step, where files are moved."""


@attrs.frozen
class Step:
    """A command, and the files that it writes.

    Attributes:
        run: writes the files of a variant into ``out``.
        files: names there.
    """

    run: Callable[[str], object]
    files: tuple[str, ...]


def insert(variant: str) -> None:
    """Insert fake quantization."""
    files = (f"{variant}/n.prototxt", f"{variant}/n.caffemodel", f"{variant}/c.json")
    workflow.insert(*files, "out/modified.prototxt", "out/modified.caffemodel", "out/record.txt")


def save(variant: str) -> None:
    """Save both models."""
    model, weights = f"{variant}/modified.prototxt", f"{variant}/snapshot.caffemodel"
    workflow.save(model, weights, "out/m", "Both", f"{variant}/record.txt", f"{variant}/c.json")


def run_simulation(variant: str) -> None:
    """Simulate a model that was saved before."""
    arguments = [f"{variant}/m", "--data", "x.npz", "-o", "out/y.npz", "--engine", "reference"]
    simulate.main([*arguments, "--batch-size", "2"], standalone_mode=False)


STEPS: Mapping[str, Step] = {
    "insert": Step(insert, ("modified.prototxt", "modified.caffemodel", "record.txt")),
    "save": Step(
        save,
        (
            *("m_fake_quant_model.prototxt", "m_fake_quant_weights.caffemodel"),
            *("m_deploy_model.prototxt", "m_deploy_weights.caffemodel", "m_quant.json"),
        ),
    ),
    "simulate": Step(run_simulation, ("y.npz",)),
}


def prepare() -> None:
    """Make what the steps read."""
    for outputs, variant in enumerate(VARIANTS, 6):
        folder = Path(variant)
        folder.mkdir()
        (folder / "n.prototxt").write_text(NETWORK.format(outputs=outputs))
        write_random_weights(str(folder / "n.prototxt"), folder / "n.caffemodel")
        files = [str(folder / name) for name in ("n.prototxt", "n.caffemodel", "c.json")]
        workflow.create_config(*files)
        modified = [str(folder / f"modified.{end}") for end in ("prototxt", "caffemodel")]
        workflow.insert(*files, *modified, str(folder / "record.txt"))
        pretend_training(folder)
        snapshot, record = str(folder / "snapshot.caffemodel"), str(folder / "record.txt")
        workflow.save(modified[0], snapshot, str(folder / "m"), "Both", record, files[2])
    np.savez("x.npz", data=np.random.default_rng(0).normal(size=(8, 3, 16, 16)).astype(np.float32))


def start(step: Step, variant: str) -> int:
    """Start a step in a process of its own; return its number."""
    pid = os.fork()
    if pid:
        return pid
    with open(os.devnull, "w") as silence, contextlib.redirect_stdout(silence):
        os.dup2(silence.fileno(), 2)
        step.run(variant)
    os._exit(0)


def contents(step: Step) -> dict[str, object]:
    """Return what is there, as our own readers find it; arrays of an archive by name."""
    if Path("out").is_dir():
        read_text_of_any()
    found: dict[str, object] = {}
    for name in step.files:
        path = Path("out", name)
        if not path.is_file():
            continue
        if name.endswith(".npz"):
            with np.load(path) as arrays:
                found[name] = {key: arrays[key].tobytes() for key in arrays}
        else:
            found[name] = bytes(map_file(path))
    return found


def read_text_of_any() -> None:
    """Read a text file of the folder as the next command would."""
    path = Path("out/note.txt")
    path.touch()
    read_text(path)
    path.unlink()


def finish(step: Step, variant: str) -> float:
    """Run a step to its end; return the seconds that it took."""
    started = time.monotonic()
    _, status = os.waitpid(start(step, variant), 0)
    assert status == 0, status
    return time.monotonic() - started


def drive(kills: int, seed: int) -> dict[str, object]:
    """Kill steps, and look after each kill whether the files are of one set."""
    drawn = random.Random(seed)
    whole: dict[str, dict[str, dict[str, object]]] = {}
    seconds: dict[str, float] = {}
    for name, step in STEPS.items():
        whole[name] = {}
        for variant in VARIANTS:
            seconds[name] = finish(step, variant)
            whole[name][variant] = contents(step)
            assert set(whole[name][variant]) == set(step.files)
        first, second = (whole[name][variant] for variant in VARIANTS)
        assert all(first[file] != second[file] for file in step.files), name
    killed: dict[str, int] = dict.fromkeys(STEPS, 0)
    half_done, wrong = 0, []
    while sum(killed.values()) < kills:
        name = min(killed, key=lambda each: killed[each])
        step, variant = STEPS[name], drawn.choice(VARIANTS)
        pid = start(step, variant)
        earliest = 2 / 3 if drawn.random() < _LATE else 0.0
        time.sleep(drawn.uniform(earliest, 1.0) * seconds[name])
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSIGNALED(status):
            continue
        killed[name] += 1
        half_done += Path("out/.amct-commit").exists()
        if contents(step) not in whole[name].values():
            wrong.append((name, sum(killed.values())))
        if sum(killed.values()) % 5 == 0:
            finish(step, variant)
            left = [file for file in os.listdir("out") if file.startswith(".")]
            if contents(step) != whole[name][variant] or left:
                wrong.append((name, sum(killed.values()), left))
    return {"killed": killed, "half_done": half_done, "wrong": wrong, "seconds": seconds}


def main() -> None:
    """Run it as a program."""
    folder, kills, seed = sys.argv[1:]
    os.chdir(folder)
    prepare()
    print(json.dumps(drive(int(kills), int(seed))))


if __name__ == "__main__":
    main()
