"""Accuracy after post-training quantization of every layer, beside the peers on the same network.

One network per run.  100 images calibrate: of the training data for LeNet, ResNet-20 and
MobileNet v2; for SqueezeNet, of which there are 400 images in all, the first 100 of those that are
evaluated, without their labels (``accuracy_not_calibrated_on`` counts the others alone).

*Ours* are the deployable models of each calibrator, run by the exact integer simulation; Caffe
calibrates, except for those that choose between calibrators: these need the simulator.  *Peers*
get the same network as a float32 ONNX model with BatchNorm folded: onnxruntime's static
quantization (QDQ, int8 weights per channel) with each of its calibrators, and NNCF's default.
Both run in onnxruntime.  The script prints one JSON object.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Optional

os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")

import attrs
import caffe
import numpy as np
import onnx
import onnxruntime
from networks import REAL_NETWORKS, Array, Network, load_images
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime_qdq import folded_network

from amct_caffe.model.to_graph import to_graph
from amct_core.file_names import ModelFiles, deploy_files
from amct_core.plugins import registries
from amct_core.ptq import configuration, workflow
from cpu_sim_backend import Simulator
from cpu_sim_backend.onnx_export import export
from cpu_sim_backend.ptq.engine import SimulatorEngine

ROOT = Path(__file__).resolve().parent.parent
CALIBRATED = 100
BATCHES = 10
EVALUATED = {"lenet": 10_000, "resnet20": 5_000, "mobilenet_v2_cifar": 5_000, "squeezenet": 400}
MOST_LOST = {"resnet20": 0.005, "mobilenet_v2_cifar": 0.005, "squeezenet": 0.01}
"""What we promise: accuracy lost against float32."""
LEAST = {"lenet": 0.9895}
"""What we promise: accuracy."""
DEFAULT = "ifmr"

ACTIVATIONS = {"U8S8": QuantType.QUInt8, "S8S8": QuantType.QInt8}

Labels = NDArray[np.int64]


@attrs.frozen
class Task:
    """One network with what calibrates and what evaluates it."""

    network: Network
    model: str
    weights: str
    calibration: Array
    images: Array
    labels: Labels
    shared_images: int

    @property
    def batches(self) -> Iterator[Array]:
        """The calibration images in batches."""
        return iter(np.split(self.calibration, BATCHES))

    def accuracy(self, scores: Callable[[Array], Array], batch: int) -> Dict[str, float]:
        """Return the top-1 accuracy of what ``scores`` gives for each batch of images."""
        starts = range(0, len(self.images), batch)
        parts = [scores(self.images[start : start + batch]) for start in starts]
        found = np.concatenate([part.reshape(len(part), -1).argmax(axis=1) for part in parts])
        right = found == self.labels
        result = {"accuracy": round(float(right.mean()), 5)}
        if self.shared_images:
            own = right[self.shared_images :]
            result["accuracy_not_calibrated_on"] = round(float(own.mean()), 5)
        return result


def read_task(shared: Path, name: str, images: Optional[int]) -> Task:
    """Return the task of one network; ``images``: how many to evaluate, None for all."""
    network = REAL_NETWORKS[name]
    evaluated, labels = load_images(shared, network, images or EVALUATED[name])
    in_common = network.dataset == "imagenet"
    calibration = load_images(shared, network, CALIBRATED, "train")[0]
    return Task(
        network=network,
        model=str(shared / "models" / network.model),
        weights=str(shared / "models" / str(network.weights)),
        calibration=calibration,
        images=evaluated,
        labels=labels,
        shared_images=CALIBRATED if in_common else 0,
    )


def float32(task: Task) -> Dict[str, float]:
    """Return the accuracy of float32 Caffe."""
    net = caffe.Net(task.model, caffe.TEST, weights=task.weights)
    return task.accuracy(lambda images: forward(net, task, images), task.network.batch_size)


def forward(net: Any, task: Task, images: Array) -> Array:
    """Return the scores of one batch in Caffe."""
    net.blobs[task.network.data].reshape(*images.shape)
    net.blobs[task.network.data].data[...] = images
    net.forward()
    scores: Array = net.blobs[task.network.outputs[0]].data.copy()
    return scores


def ours(task: Task, calibrator: str) -> Dict[str, float]:
    """Return the accuracy of the integers that one calibrator gives."""
    with tempfile.TemporaryDirectory() as folder:
        simulator = Simulator(*quantized(task, calibrator, Path(folder)))
    return task.accuracy(integers(simulator, task), task.network.batch_size)


def quantized(task: Task, calibrator: str, folder: Path) -> ModelFiles:
    """Write the deployable model that one calibrator gives."""
    config, record, prototxt, caffemodel, saved = (
        str(folder / name) for name in ("c.json", "record.txt", "m.prototxt", "m", "saved")
    )
    simplified = configuration.simplified_config(batch_num=BATCHES, act_algo=calibrator)
    configuration.create_ptq_config(task.model, task.weights, config, simplified)
    network = workflow.start(config, task.model, task.weights, record)
    if registries().calibrators.get(calibrator).chooses:
        data = [{task.network.data: batch} for batch in task.batches]
        workflow.calibrate(network, data, SimulatorEngine())
    else:
        workflow.calibration_network(network, prototxt, caffemodel)
        net = caffe.Net(prototxt, caffe.TEST, weights=caffemodel)
        for batch in task.batches:
            forward(net, task, batch)
    workflow.save(network, "Deploy", saved, "ascend")
    return deploy_files(saved)


def integers(simulator: Simulator, task: Task) -> Callable[[Array], Array]:
    """Return what runs a batch in integers."""
    blob = task.network.outputs[0]
    return lambda images: simulator.run({task.network.data: images}, [blob])[blob]


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, blob: str, batches: Iterator[Array]) -> None:
        self._blob, self._batches = blob, batches

    def get_next(self) -> Optional[Dict[str, Array]]:
        batch = next(self._batches, None)
        return None if batch is None else {self._blob: batch}


def write_float(task: Task, path: Path) -> None:
    """Write the network, BatchNorm folded, as a float32 ONNX model."""
    graph = to_graph(folded_network(Path(task.model), Path(task.weights)), "TEST")
    onnx.save(export(graph), str(path))


def in_onnxruntime(task: Task, path: Path) -> Dict[str, float]:
    """Return the accuracy of an ONNX model."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name, output = session.get_inputs()[0].name, task.network.outputs[0]
    names = [each.name for each in session.get_outputs()]
    wanted = output if output in names else names[0]
    return task.accuracy(
        lambda images: session.run([wanted], {name: images})[0], task.network.batch_size
    )


def by_onnxruntime(
    task: Task, model: Path, method: CalibrationMethod, activations: str
) -> Dict[str, float]:
    """Return the accuracy of onnxruntime's static quantization."""
    prepared, quantized = model.with_name("prepared.onnx"), model.with_name("quantized.onnx")
    with contextlib.redirect_stdout(sys.stderr):  # standard output is for the JSON alone
        quant_pre_process(str(model), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(quantized),
            _Reader(task.network.data, task.batches),
            quant_format=QuantFormat.QDQ,
            activation_type=ACTIVATIONS[activations],
            weight_type=QuantType.QInt8,
            per_channel=True,
            calibrate_method=method,
        )
    return in_onnxruntime(task, quantized)


def by_nncf(task: Task, model: Path, python: str) -> Dict[str, float]:
    """Return the accuracy of NNCF's default post-training quantization."""
    images, quantized = model.with_name("calibration.npy"), model.with_name("nncf.onnx")
    np.save(images, task.calibration)
    script = str(ROOT / "benchmarks/peers/nncf_onnx.py")
    subprocess.run(
        [python, script, str(model), str(images), str(quantized)], check=True, stdout=sys.stderr
    )
    return in_onnxruntime(task, quantized)


def peers(task: Task, nncf_python: str) -> Dict[str, Any]:
    """Return the accuracies of the peers; a setting that fails is reported as such."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "float.onnx")
        write_float(task, model)
        found: Dict[str, Any] = {"float32": in_onnxruntime(task, model)}
        for method in (
            CalibrationMethod.MinMax,
            CalibrationMethod.Entropy,
            CalibrationMethod.Percentile,
        ):
            for activations in ACTIVATIONS:
                name = f"onnxruntime {method.name} {activations}"
                print(name, file=sys.stderr)
                found[name] = by_onnxruntime(task, model, method, activations)
        print("nncf", file=sys.stderr)
        found["nncf"] = by_nncf(task, model, nncf_python)
    return found


def standard_error(accuracy: float, images: int) -> float:
    """Return the standard error of an accuracy over so many images."""
    return float((accuracy * (1 - accuracy) / images) ** 0.5)


def judged(name: str, found: Dict[str, Any]) -> Dict[str, Any]:
    """Return what was promised, and which calibrators hold it."""
    reference = found["float32"]["accuracy"]
    least = LEAST.get(name, reference - MOST_LOST.get(name, 1))
    best_peer, best = max(
        ((peer, each["accuracy"]) for peer, each in found["peers"].items() if peer != "float32"),
        key=lambda pair: pair[1],
    )
    error = standard_error(best, found["images"])
    accuracies = {each: own["accuracy"] for each, own in found["ours"].items()}
    reached = [each for each, own in accuracies.items() if own >= least - 1e-9]
    as_peers = [each for each, own in accuracies.items() if own >= best - error]
    return {
        "least": round(least, 5),
        "reached_by": reached,
        "best_peer": best_peer,
        "best_peer_accuracy": best,
        "standard_error": round(error, 5),
        "at_least_best_peer_within_one_standard_error": as_peers,
        "both": [each for each in reached if each in as_peers],
        "default_calibrator": DEFAULT,
    }


def measure(shared: Path, name: str, images: Optional[int], nncf_python: str) -> Dict[str, Any]:
    """Return all accuracies of one network."""
    task = read_task(shared, name, images)
    found: Dict[str, Any] = {
        "images": len(task.labels),
        "calibrated_on": "100 of the images evaluated"
        if task.shared_images
        else "100 training images",
        "float32": float32(task),
        "ours": {},
    }
    for calibrator in (each.name for each in registries().calibrators):
        print(f"{name}: {calibrator} ...", file=sys.stderr)
        found["ours"][calibrator] = ours(task, calibrator)
    found["peers"] = peers(task, nncf_python)
    found["judged"] = judged(name, found)
    return found


def nncf_environment() -> str:
    """Make the environment of NNCF where it is not there; return its Python."""
    subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/peers/set_up.py"), "nncf"],
        check=True,
        stdout=sys.stderr,
    )
    return str(ROOT / ".venv-nncf/bin/python")


def main() -> None:
    """Print the measurement as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=os.environ.get("AMCT_SHARED"))
    parser.add_argument("--network", action="append", choices=EVALUATED, help="default: all")
    parser.add_argument("--images", type=int, help="to evaluate; default: all")
    parser.add_argument("--nncf-python", help="default: an environment that is made for it")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    shared = Path(arguments.shared or ROOT.parent / "shared").resolve()
    python = arguments.nncf_python or nncf_environment()
    results: Dict[str, Any] = {"networks": {}}
    for name in arguments.network or EVALUATED:
        results["networks"][name] = measure(shared, name, arguments.images, python)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
