"""Training on several ranks, and the same training in one process."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Mapping

import attrs
import pytest
from digits import run_python

TIMEOUT = 120
"""Seconds after which a run that should have ended counts as one that hangs."""

_ONE_PROCESS = """
import json
import caffe
solver = caffe.get_solver("solver.prototxt")
solver.net.copy_from("modified.caffemodel")
losses = []
solver.add_callback(lambda: None, lambda: losses.append(float(solver.net.blobs["loss"].data)))
solver.solve()
json.dump(losses, open("losses.json", "w"))
"""


def mpiexec() -> str:
    """Return the launcher beside this interpreter; skip the test where there is none."""
    launcher = Path(sys.executable).with_name("mpiexec")
    if importlib.util.find_spec("mpi4py") is None or not launcher.exists():
        pytest.skip("mpi4py and MPICH are not installed in this environment")
    return str(launcher)


@attrs.frozen
class Team:
    """A folder with a modified model, ``solver.prototxt`` and a number of ranks."""

    folder: Path
    size: int

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start ``amct qat train`` on all ranks."""
        return self.mpiexec(
            "-m", "amct_core", "qat", "train", "solver.prototxt",
            "--weights", "modified.caffemodel", *arguments,
        )  # fmt: skip

    def mpiexec(self, *arguments: str, **streams: Any) -> subprocess.Popen[str]:
        """Start this interpreter on all ranks.

        Args:
            arguments: of Python.
            streams: of the launcher, as ``subprocess.Popen`` takes them; standard output and error
                are pipes unless they say otherwise.
        """
        return subprocess.Popen(
            [mpiexec(), "-n", str(self.size), sys.executable, *arguments],
            cwd=self.folder,
            env={
                **os.environ,
                "OPENBLAS_NUM_THREADS": "1",
                # Modules of a test's own layers lie in the folder.
                "PYTHONPATH": os.pathsep.join(
                    [str(self.folder), *filter(None, [os.environ.get("PYTHONPATH")])]
                ),
            },
            text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams},
        )

    def train(self, *arguments: str) -> Finished:
        """Train to the end, which must be a good one."""
        finished = Finished.of(self.start(*arguments))
        assert finished.status == 0, finished.errors
        return finished

    def train_alone(self) -> List[float]:
        """Train in one process, without any of our code around the solver; return the losses."""
        run_python(self.folder, "-c", _ONE_PROCESS)
        losses: List[float] = json.loads((self.folder / "losses.json").read_text())
        return losses

    def snapshot(self, iteration: int, kind: str = "caffemodel") -> Path:
        """Return the path of a snapshot."""
        return self.folder / f"snap_iter_{iteration}.{kind}"


@attrs.frozen
class Finished:
    """What a run on several ranks left."""

    status: int
    output: str
    errors: str

    @classmethod
    def of(cls, process: subprocess.Popen[str]) -> Finished:
        """Wait for the end; a run that does not come to it fails the test."""
        try:
            output, errors = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            process.terminate()  # mpiexec ends its ranks
            _, errors = process.communicate(timeout=TIMEOUT)
            raise AssertionError(f"the run hangs:\n{errors}") from None
        return cls(process.returncode, output, errors)

    @property
    def losses(self) -> List[float]:
        """The losses of the log, one per iteration."""
        return [float(loss) for loss in re.findall(r"iteration \d+: loss = (\S+)", self.errors)]


def prepare(
    folder: Path, size: int, data: Mapping[str, str], batch: int, test_batch: int, **fields: Any
) -> Team:
    """Insert fake quantization into the digits network, with a share of the batch for each rank.

    Args:
        folder: to write into.
        size: the number of ranks.
        data: ``train`` and ``test``: the ``.npz`` files.
        batch, test_batch: of one process that trains alone.
        fields: of the solver, beside the usual.
    """
    from amct_caffe.demo import network
    from amct_core import workflow

    folder.mkdir()
    text = network.train_test_prototxt(
        data["train"], data["test"], batch // size, test_batch // size
    )
    (folder / "net.prototxt").write_text(text)
    before = os.getcwd()
    os.chdir(folder)
    try:
        workflow.create_config("net.prototxt", data["weights"], "config.json")
        config = {**json.loads(Path("config.json").read_text()), "batch_num": 2}
        Path("config.json").write_text(json.dumps(config))
        modified = ("modified.prototxt", "modified.caffemodel")
        workflow.insert("net.prototxt", data["weights"], "config.json", *modified, "record.txt")
    finally:
        os.chdir(before)
    (folder / "solver.prototxt").write_text(_solver({**SOLVER, **fields}))
    return Team(folder, size)


SOLVER: Dict[str, Any] = {
    "net": "modified.prototxt",
    "base_lr": 1e-4,
    "lr_policy": "fixed",
    "momentum": 0.9,
    "weight_decay": 0.0005,
    "display": 1,
    "test_iter": 3,
    "test_initialization": False,
    "snapshot_prefix": "snap",
    "random_seed": 1,
}


def _solver(fields: Mapping[str, Any]) -> str:
    return "".join(f"{name}: {json.dumps(value)}\n" for name, value in fields.items())
