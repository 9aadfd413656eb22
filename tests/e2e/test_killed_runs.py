"""`amct qat run` killed or stopped at random moments, and called again.

The files are those of a run left in peace.

``AMCT_KILLS`` and ``AMCT_RESUMES`` say how often, and ``AMCT_KILLS_SEED`` where the moments begin.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, Optional

import numpy as np
import pytest

pytestmark = [pytest.mark.caffe, pytest.mark.slow]

KILLS = int(os.environ.get("AMCT_KILLS", "5"))
RESUMES = int(os.environ.get("AMCT_RESUMES", "3"))
SEED = int(os.environ.get("AMCT_KILLS_SEED", "0"))

SOLVER = """
net: "x" base_lr: 1e-4 lr_policy: "fixed" momentum: 0.9 max_iter: 200 snapshot: 20
test_iter: 1 test_interval: 200 test_initialization: false snapshot_prefix: "x" random_seed: 1
"""


@pytest.fixture(scope="module")
def origin(trained_digits, tmp_path_factory) -> Path:
    """Return a folder with the network, data of one batch, and a run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("killed") / "work"
    shutil.copytree(trained_digits.folder, folder)
    for name, count in (("train", 64), ("test", 100)):
        with np.load(folder / f"{name}.npz") as arrays:
            few = {key: arrays[key][:count] for key in arrays}
        np.savez(folder / f"{name}.npz", **few)
    (folder / "solver.prototxt").write_text(SOLVER)
    begun = time.monotonic()
    assert start(folder, trained_digits).wait(timeout=300) == 0
    (folder / "seconds").write_text(str(time.monotonic() - begun))
    return folder


def start(folder: Path, digits, log: Optional[Path] = None) -> subprocess.Popen:
    arguments = ("qat", "run", digits.model, digits.weights)
    return subprocess.Popen(
        [sys.executable, "-m", "amct_core", *arguments, "--solver", "solver.prototxt", "-o", "q"],
        cwd=folder,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if log is None else log.open("w"),
    )


def results(folder: Path) -> Dict[str, str]:
    paths = [*(folder / "q/result").iterdir(), folder / "q/record.txt"]
    paths += [folder / "q/snapshot_iter_200.caffemodel"]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def worker_of(pid: int) -> int:
    """Return the process that trains; the one that waits while there is none."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else pid


@pytest.mark.parametrize("number", range(SEED, SEED + KILLS))
def test_called_again_it_ends_with_the_same_files(origin, trained_digits, tmp_path, number):
    folder = tmp_path / "work"
    shutil.copytree(origin, folder)
    shutil.rmtree(folder / "q")
    moment = random.Random(number)
    process = start(folder, trained_digits)
    time.sleep(moment.uniform(0.3, float((origin / "seconds").read_text())))
    if process.poll() is None:
        os.kill(moment.choice([process.pid, worker_of(process.pid)]), signal.SIGKILL)
    process.wait(timeout=60)
    assert start(folder, trained_digits).wait(timeout=300) == 0
    assert results(folder) == results(origin)
    left = {path.name for path in (folder / "q").iterdir() if path.name.startswith(".")}
    assert len(left) <= 2, "at most what the killed process was staging"


SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGKILL: 1}


@pytest.mark.parametrize("number", range(SEED, SEED + RESUMES))
def test_it_goes_on_from_a_snapshot_bit_by_bit(origin, trained_digits, tmp_path, number):
    folder = tmp_path / "work"
    shutil.copytree(origin, folder)
    shutil.rmtree(folder / "q")
    moment = random.Random(f"resume {number}")
    stop = moment.choice(sorted(SIGNALS))
    first = folder / f"q/snapshot_iter_{moment.randrange(20, 180, 20)}.solverstate"
    process = start(folder, trained_digits)
    while not first.exists() and process.poll() is None:
        time.sleep(0.001)
    time.sleep(moment.uniform(0, 0.05))
    os.kill(worker_of(process.pid) if stop == signal.SIGKILL else process.pid, stop)
    status = process.wait(timeout=60)
    assert status == SIGNALS[stop]

    log = tmp_path / "log"
    assert start(folder, trained_digits, log).wait(timeout=300) == 0
    assert "it goes on after iteration" in log.read_text()
    assert results(folder) == results(origin)
