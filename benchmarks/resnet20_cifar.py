"""ResNet-20 on CIFAR-10: fine-tuned in float32 and by quantization-aware training, side by side.

Both start from the same weights and see the same batches in the same order under the same solver.
The statistics of BatchNorm are frozen in both, because the network's prototxt says
``use_global_stats: true`` (and because the Caffe that pip installs cannot train them); gamma, beta
and the weights are trained.  The quantized network is trained twice: with BatchNorm kept as a layer
and with BatchNorm folded beforehand.  ``--algorithms lsq`` quantizes activations and weights by the
plugin of ``examples/lsq_plugin`` in place of the built-in algorithms; nothing else changes.  The
script prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("GLOG_minloglevel", "2")

import caffe
import numpy as np
from google.protobuf import text_format
from networks import CIFAR_DEVIATION, CIFAR_MEAN

import amct_caffe as amct
from amct_core.file_names import deploy_files, fake_quant_files
from cpu_sim_backend import Simulator
from cpu_sim_backend.verify import verify

ROOT = Path(__file__).resolve().parent.parent
TEST_BATCH = 100
MODEL = "train_test.prototxt"
BUILT_IN = "built-in"

DATA_LAYER = """\
layer {{
  name: "cifar_{split}" type: "Python" top: "data" top: "label"
  include {{ phase: {phase} }}
  python_param {{ module: "amct_caffe.layers" layer: "ArrayData" param_str: '{parameters}' }}
}}
"""

LOSS_LAYERS = """\
layer {
  name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy"
  include { phase: TEST }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""

SOLVER = """\
net: "{net}"
test_iter: 1
test_interval: {iterations}
test_initialization: false
base_lr: 1e-4
lr_policy: "step"
stepsize: {stepsize}
gamma: 0.1
momentum: 0.9
weight_decay: 0.0001
max_iter: {iterations}
snapshot: {iterations}
snapshot_prefix: "{prefix}"
random_seed: 1
solver_mode: CPU
"""
"""The learning rate suits both ways of treating BatchNorm.

With 1e-3 the network with BatchNorm folded loses 20 points within five iterations, in float32 just
as in quantization-aware training: folding puts gamma over the deviation, 0.4 in the median, into
the weights, and then the same step changes the network by 1 / 0.4**2 as much.
"""


def prepare_data(shared: Path, split: str, count: int) -> dict[str, np.ndarray]:
    """Write ``count`` shuffled images of a split to ``<split>.npz`` and return them."""
    sys.path.insert(0, str(shared / "data"))
    import load

    images, labels = load.cifar10(split)
    chosen = np.random.default_rng(0).permutation(len(images))[:count]
    normalised = (images[chosen].astype(np.float32) / 255 - CIFAR_MEAN) / CIFAR_DEVIATION
    arrays = {
        "data": np.ascontiguousarray(normalised.transpose(0, 3, 1, 2)),
        "label": labels[chosen].astype(np.float32),
    }
    np.savez(f"{split}.npz", **arrays)
    return arrays


def write_training_model(deployed: str, batch_size: int, test_batch: int = TEST_BATCH) -> None:
    """Make the network that is trained: the deployed one between data layers and a loss."""
    network = caffe.proto.caffe_pb2.NetParameter()
    text_format.Merge(Path(deployed).read_text(), network)
    layers = [layer for layer in network.layer if layer.type not in ("Input", "Softmax")]
    del network.layer[:]
    network.layer.extend(layers)
    data_layers = data_layer("train", batch_size) + data_layer("test", test_batch)
    Path(MODEL).write_text(data_layers + text_format.MessageToString(network) + LOSS_LAYERS)


def data_layer(split: str, batch_size: int) -> str:
    """Return the text of the layer that reads ``<split>.npz``."""
    parameters = {
        "file": os.path.abspath(f"{split}.npz"),
        "arrays": ["data", "label"],
        "batch_size": batch_size,
    }
    return DATA_LAYER.format(split=split, phase=split.upper(), parameters=json.dumps(parameters))


def write_solver(net: str, prefix: str, iterations: int) -> str:
    """Write the solver of a run and return its path; only the net and the prefix ever differ."""
    path = f"{prefix}_solver.prototxt"
    stepsize = max(1, iterations // 2)
    text = SOLVER.format(net=net, prefix=prefix, iterations=iterations, stepsize=stepsize)
    Path(path).write_text(text)
    return path


def train(solver_file: str, weights: str) -> None:
    """Train from ``weights`` to the end of the solver, its TEST pass included."""
    solver = caffe.get_solver(solver_file)
    solver.net.copy_from(weights)
    solver.solve()


def accuracy_in_caffe(model: str, weights: str, samples: int) -> float:
    """Return the accuracy over the test images."""
    net = caffe.Net(model, caffe.TEST, weights=weights)
    # forward() returns views of the blobs, which the next forward overwrites.
    batches = [float(net.forward()["accuracy"]) for _ in range(samples // TEST_BATCH)]
    return float(np.mean(batches))


def fine_tune(weights: str, iterations: int, samples: int) -> float:
    """Train in float32 and return the accuracy."""
    train(write_solver(MODEL, "float32", iterations), weights)
    return accuracy_in_caffe(MODEL, f"float32_iter_{iterations}.caffemodel", samples)


def install_lsq() -> None:
    """Install the example into the working folder, and have this process find it."""
    sys.path.insert(0, str(ROOT / "tests/e2e"))
    from third_party import install

    install(ROOT / "examples/lsq_plugin", Path("site"))
    sys.path.insert(0, os.path.abspath("site"))


def with_algorithms(config: dict, name: str, begin: str) -> dict:
    """Return the config with activations and weights quantized by the algorithms of this name."""
    for entry in config.values():
        for section in ("retrain_data_config", "retrain_weight_config"):
            if isinstance(entry, dict) and section in entry:
                entry[section].update(algo=name, algo_parameters={"begin": begin})
    return config


def quantize(weights: str, batch_norm: str, chosen: argparse.Namespace) -> str:
    """Take the network through the workflow and return the save path."""
    iterations = chosen.iterations
    config_file, record_file = f"{batch_norm}.json", f"{batch_norm}_record.txt"
    amct.create_quant_retrain_config(config_file, MODEL, weights)
    config = json.loads(Path(config_file).read_text())
    config["batch_norm"] = batch_norm
    if chosen.algorithms != BUILT_IN:
        config = with_algorithms(config, chosen.algorithms, chosen.begin)
    Path(config_file).write_text(json.dumps(config))
    modified = (f"{batch_norm}_model.prototxt", f"{batch_norm}_model.caffemodel")
    amct.create_quant_retrain_model(MODEL, weights, config_file, *modified, record_file)
    solver_file = write_solver(modified[0], batch_norm, iterations)
    amct.check_solver(solver_file, config_file, modified[0])
    train(solver_file, modified[1])
    save_path = f"result/{batch_norm}"
    amct.save_quant_retrain_model(
        modified[0],
        f"{batch_norm}_iter_{iterations}.caffemodel",
        "Both",
        save_path,
        record_file,
        config_file,
        deploy_backend="ascend",
    )
    return save_path


def measure(
    weights: str, batch_norm: str, chosen: argparse.Namespace, test: dict, float32: float
) -> dict:
    """Quantize, compare with float32, and compare the fake-quant model with integers."""
    save_path = quantize(weights, batch_norm, chosen)
    images, labels = test["data"], test["label"]
    simulator = Simulator(*deploy_files(save_path))
    classes = [
        simulator.run({"data": images[i : i + TEST_BATCH]})["prob"].argmax(axis=1)
        for i in range(0, len(images), TEST_BATCH)
    ]
    fake_quant = accuracy_in_caffe(
        *fake_quant_files(save_path),
        len(images),
    )
    return {
        "batch_norm": batch_norm,
        "fake_quant": fake_quant,
        "integer": float(np.mean(np.concatenate(classes) == labels)),
        "points_below_float32": round(100 * (float32 - fake_quant), 4),
        "verify": verify(save_path, {"data": images}, TEST_BATCH).as_json(),
    }


def run(shared: Path, chosen: argparse.Namespace) -> dict:
    """Do everything in the working folder and return what is printed."""
    if chosen.algorithms == "lsq":
        install_lsq()
    folder = shared / "models/resnet20_cifar"
    weights = str(folder / "resnet20.caffemodel")
    prepare_data(shared, "train", chosen.train_samples)
    test = prepare_data(shared, "test", chosen.samples)
    write_training_model(str(folder / "resnet20.prototxt"), chosen.batch_size)
    before = accuracy_in_caffe(MODEL, weights, chosen.samples)
    float32 = fine_tune(weights, chosen.iterations, chosen.samples)
    return {
        "algorithms": chosen.algorithms,
        "begin": chosen.begin if chosen.algorithms == "lsq" else None,
        "samples": chosen.samples,
        "train_samples": chosen.train_samples,
        "iterations": chosen.iterations,
        "batch_size": chosen.batch_size,
        "float32_before_fine_tuning": before,
        "float32": float32,
        "quantized": [
            measure(weights, mode, chosen, test, float32)
            for mode in chosen.batch_norm or ("keep", "fold")
        ],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=os.environ.get("AMCT_SHARED"))
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument("--batch-size", type=int, default=64, help="of the training")
    parser.add_argument("--train-samples", type=int, default=20000)
    parser.add_argument(
        "--samples", type=int, default=5000, help=f"test images, a multiple of {TEST_BATCH}"
    )
    parser.add_argument("--batch-norm", action="append", help="default: keep and fold")
    parser.add_argument("--algorithms", choices=(BUILT_IN, "lsq"), default=BUILT_IN)
    parser.add_argument(
        "--begin", choices=("paper", "least_error"), default="paper", help="first steps of LSQ"
    )
    chosen = parser.parse_args()
    if chosen.samples < TEST_BATCH or chosen.samples % TEST_BATCH:
        parser.error(f"--samples is {chosen.samples}; expected a multiple of {TEST_BATCH}")
    shared = Path(chosen.shared or ROOT.parent / "shared").resolve()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        results = run(shared, chosen)
        os.chdir(ROOT)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
