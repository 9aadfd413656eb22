"""The demonstration's steps: data, float training, quantization-aware training, proof."""

from __future__ import annotations

import os
from typing import Any, Dict, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_caffe.demo import network
from amct_caffe.training import workflow as training
from amct_core.cli.installing import how_to_install
from amct_core.errors import EnvironmentUnsuitableError
from amct_core.file_names import deploy_files, work_files
from amct_core.files import write_atomically
from amct_core.plugins import registries
from amct_core.supervision.watch import current

_TEST_SAMPLES = 500
_FLOAT_ITERATIONS = 2000
_QAT_ITERATIONS = 200
_BASE_LR = 0.1

Arrays = Dict[str, NDArray[Any]]


@attrs.frozen
class DemoResult:
    """What the demonstration found.

    Attributes:
        float32: accuracy of the trained network on the test images, 0..1.
        fake_quant: accuracy of the fake-quant model in Caffe.
        integer: accuracy of the deployable model in integer simulation.
        mismatches: int8 inputs, int32 accumulators and outputs that differ between these two.
        files: the saved files.
        save_path: their prefix.
        data_file: the test images, for ``amct verify``.
    """

    float32: float
    fake_quant: float
    integer: float
    mismatches: int
    files: Tuple[str, ...]
    save_path: str
    data_file: str


def run_demo(folder: str) -> DemoResult:
    """Take a small network through the whole workflow below ``folder``.

    Raises:
        EnvironmentUnsuitableError: pycaffe, scikit-learn or a plugin is missing.
    """
    os.makedirs(folder, exist_ok=True)
    current().keep_log(os.path.join(folder, "caffe.log"))
    train, test = load_digits_data()
    paths = [os.path.join(folder, f"{name}.npz") for name in ("train", "test")]
    for path, arrays in zip(paths, (train, test)):
        np.savez(path, **arrays)
    data_file = os.path.join(folder, "test_images.npz")
    np.savez(data_file, data=test["data"])
    model = os.path.join(folder, "digits.prototxt")
    train_file, test_file = map(os.path.abspath, paths)
    write_atomically(model, network.train_test_prototxt(train_file, test_file))
    weights = _train_float(folder, model)
    solver = _write_solver(folder, "qat", model, _QAT_ITERATIONS, _BASE_LR / 100)
    quantized = os.path.join(folder, "qat")
    files = training.run_all(model, weights, solver, quantized, restart=True)
    return _evaluate(model, weights, work_files(quantized).result, files, test, data_file)


def load_digits_data() -> Tuple[Arrays, Arrays]:
    """Return training and test images (N, 1, 8, 8) in 0..1 with their labels."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise EnvironmentUnsuitableError(
            "the demonstration's images come with scikit-learn, which is not installed.",
            remedy=f"Run: {how_to_install('amct[caffe]')}.",
        ) from error
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    order = np.random.default_rng(0).permutation(len(images))
    test, train = order[:_TEST_SAMPLES], order[_TEST_SAMPLES:]
    return (
        {"data": images[train], "label": labels[train].astype(np.float32)},
        {"data": images[test], "label": labels[test].astype(np.float32)},
    )


def _train_float(folder: str, model: str) -> str:
    from amct_caffe.runtime.training import run_solver

    solver = _write_solver(folder, "float", model, _FLOAT_ITERATIONS, _BASE_LR)
    run_solver(solver, None, title="training in float32")
    return os.path.join(folder, f"float_iter_{_FLOAT_ITERATIONS}.caffemodel")


def _write_solver(folder: str, name: str, model: str, iterations: int, base_lr: float) -> str:
    path = os.path.join(folder, f"{name}_solver.prototxt")
    prefix = os.path.join(folder, name)
    write_atomically(path, network.solver_prototxt(model, prefix, iterations, base_lr))
    return path


def _evaluate(
    model: str,
    weights: str,
    save_path: str,
    files: Tuple[str, ...],
    test: Arrays,
    data_file: str,
) -> DemoResult:
    try:
        from cpu_sim_backend import Simulator
        from cpu_sim_backend.verify import verify
    except ImportError as error:
        raise EnvironmentUnsuitableError(
            "the integer simulation is not installed.",
            remedy=f"Run: {how_to_install('amct-cpu-sim-backend')}.",
        ) from error
    from amct_caffe.runtime.executor import accuracy_of

    data = {"data": test["data"]}
    simulator = Simulator(*deploy_files(save_path))
    executor = registries().frontends.get("caffe").fake_quant_executor(save_path)
    return DemoResult(
        float32=accuracy_of(model, weights, _TEST_SAMPLES // 100),
        fake_quant=_accuracy(executor.run(data, ["prob"])["prob"], test["label"]),
        integer=_accuracy(simulator.run(data, ["prob"])["prob"], test["label"]),
        mismatches=verify(save_path, data).mismatches,
        files=files,
        save_path=save_path,
        data_file=data_file,
    )


def _accuracy(scores: NDArray[Any], labels: NDArray[Any]) -> float:
    return float(np.mean(scores.argmax(axis=1) == labels))
