"""A saved model, a stand-in for ``atc``, and ways to run ``amct atc`` with them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Sequence

import attrs
import pytest

from ascend_backend.atc import run
from ascend_backend.atc.command import Conversion
from ascend_backend.atc.find import Atc
from plugins.ascend_backend.tests.atc.stand_in import STAND_IN

MODEL = """name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 } } }
layer { name: "relu" type: "ReLU" bottom: "data" top: "relu" }
"""
WEIGHTS = b"\xa2\x06\x0c\x0a\x04relu\x12\x04ReLU"  # one LayerParameter (field 100) without blobs
DEADLINE = 30.0


@attrs.frozen
class Saved:
    """A deployable model as it lies after saving."""

    prefix: Path

    @property
    def folder(self) -> Path:
        return self.prefix.parent

    @property
    def model(self) -> Path:
        return Path(f"{self.prefix}_deploy_model.prototxt")

    def conversion(self, *extra: str) -> Conversion:
        return Conversion(
            model=str(self.model),
            weights=f"{self.prefix}_deploy_weights.caffemodel",
            output=str(self.prefix),
            soc_version="Ascend310P3",
            input_shape="data:1,3",
            extra=extra,
        )

    def files(self) -> set[str]:
        """Return the names of all that lies beside the model and has not been saved with it."""
        here = {path.name for path in self.folder.iterdir()}
        return {name for name in here if "_deploy_" not in name and "_quant.json" not in name}


@attrs.frozen
class Processes:
    """What the stand-in says about itself and the child that it has started."""

    file: Path

    def started(self) -> tuple[int, int]:
        """Return both ids as soon as they are known."""
        _wait(self.file.exists)
        own, child = self.file.read_text().split()
        return int(own), int(child)

    def asked_to_end(self) -> None:
        """Return as soon as the stand-in that ignores SIGTERM has received one."""
        _wait(Path(f"{self.file}.asked").exists)

    def gone(self) -> bool:
        """Whether both have ended; a killed one may take a moment."""
        _wait(lambda: not any(map(_runs, self.started())))
        return True


def _wait(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not happened():
        assert time.monotonic() < end, "it has not happened"
        time.sleep(0.02)


def _runs(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # a zombie has ended; who must collect it is not the question here


@pytest.fixture
def save() -> Callable[[Path], Saved]:
    """Return a function that puts a model into a folder."""

    def write(folder: Path) -> Saved:
        folder.mkdir(parents=True, exist_ok=True)
        saved = Saved(folder / "net")
        saved.model.write_text(MODEL)
        Path(f"{saved.prefix}_deploy_weights.caffemodel").write_bytes(WEIGHTS)
        Path(f"{saved.prefix}_quant.json").write_text("{}")
        return saved

    return write


@pytest.fixture
def saved(save, tmp_path: Path) -> Saved:
    return save(tmp_path / "result")


@pytest.fixture
def atc(tmp_path: Path) -> Atc:
    """Install the stand-in in a folder of its own."""
    path = tmp_path / "installed" / "bin" / "atc"
    path.parent.mkdir(parents=True)
    path.write_text(STAND_IN.format(python=sys.executable))
    path.chmod(0o755)
    return Atc(path, "PATH")


@pytest.fixture
def processes(tmp_path: Path, monkeypatch) -> Processes:
    file = tmp_path / "processes"
    monkeypatch.setenv("ATC_PIDS", str(file))
    return Processes(file)


@pytest.fixture
def from_its_start_on(monkeypatch, processes: Processes) -> None:
    """Let the time limit begin when the stand-in hangs, however long Python takes to start."""
    start = run._start

    def started(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        process = start(arguments)
        processes.started()
        return process

    monkeypatch.setattr(run, "_start", started)


@pytest.fixture
def acts(monkeypatch) -> Callable[[str], None]:
    """Return a function that sets what the stand-in does."""
    return lambda what: monkeypatch.setenv("ATC_ACTS", what)


@pytest.fixture
def received(tmp_path: Path, monkeypatch) -> Callable[[], dict]:
    """Return a function that gives the arguments and the folder that the stand-in was run with."""
    file = tmp_path / "arguments.json"
    monkeypatch.setenv("ATC_ARGUMENTS", str(file))
    return lambda: json.loads(file.read_text())


@pytest.fixture
def start_amct(tmp_path: Path) -> Callable[..., subprocess.Popen]:
    """Return a function that starts ``amct atc`` in a process group of its own."""

    def start(*arguments: object, path: str = os.defpath) -> subprocess.Popen:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ASCEND_")}
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        return subprocess.Popen(
            [sys.executable, "-m", "amct_core", "atc", *map(str, arguments)],
            cwd=home,
            env={**environment, "PATH": path, "HOME": str(home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    return start


@attrs.frozen
class Ended:
    """How ``amct atc`` ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def amct_atc(start_amct) -> Callable[..., Ended]:
    """Return a function that runs ``amct atc`` to its end."""

    def run(*arguments: object, path: str = os.defpath) -> Ended:
        process = start_amct(*arguments, path=path)
        out, err = process.communicate(timeout=DEADLINE)
        return Ended(process.returncode, out, err)

    return run
