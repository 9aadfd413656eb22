"""A trained digits network in a folder, for tests of the whole workflow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import attrs

REPOSITORY = Path(__file__).resolve().parents[2]

_TRAIN = """
import os
os.environ["GLOG_minloglevel"] = "2"
import caffe, sys
solver = caffe.get_solver("float_solver.prototxt")
solver.solve()
"""


@attrs.frozen
class DigitsModel:
    """A network trained in float32 for a few iterations, with its data beside it."""

    folder: Path
    model: str = "digits.prototxt"
    weights: str = "float_iter_150.caffemodel"


def make_digits_model(folder: Path) -> DigitsModel:
    """Train the demonstration's network below ``folder``, in a process of its own."""
    import numpy as np

    from amct_caffe.demo import network
    from amct_caffe.demo.workflow import load_digits_data

    train, test = load_digits_data()
    np.savez(folder / "train.npz", **train)
    np.savez(folder / "test.npz", **test)
    model = DigitsModel(folder)
    (folder / model.model).write_text(network.train_test_prototxt("train.npz", "test.npz"))
    solver = network.solver_prototxt(model.model, "float", 150, 0.02)
    (folder / "float_solver.prototxt").write_text(solver)
    run_python(folder, "-c", _TRAIN)
    return model


def run_python(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
    """Run this interpreter in ``folder``; Caffe's log is switched off."""
    environment = {**os.environ, "GLOG_minloglevel": "2", "OPENBLAS_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if check and result.returncode:
        raise AssertionError(f"exit {result.returncode}\n{result.stdout}\n{result.stderr}")
    return result
