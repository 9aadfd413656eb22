"""Quantization-aware training of BVLC's LeNet on MNIST, and proof over the whole test set.

The script does what a user's script does: it trains the network's own prototxt (2014 ``V1`` format,
LMDB data layers) with a solver, through the public API.  It prints one JSON object.
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
import lmdb
import numpy as np

import amct_caffe as amct
from amct_core import workflow
from amct_core.file_names import deploy_files, fake_quant_files
from cpu_sim_backend import Simulator
from cpu_sim_backend.verify import verify

SCALE = np.float32(0.00390625)
"""The network's ``transform_param.scale``."""

SOLVER = """\
net: "tmp/modified_model.prototxt"
test_iter: 4
test_interval: {iterations}
test_initialization: false
base_lr: 1e-4
lr_policy: "step"
stepsize: 100
gamma: 0.1
momentum: 0.9
weight_decay: 0.0005
max_iter: {iterations}
snapshot: {iterations}
snapshot_prefix: "tmp/solver"
random_seed: 1
solver_mode: CPU
"""


def write_lmdb(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Write an LMDB of Caffe Datums, as BVLC's convert_mnist_data does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    environment = lmdb.open(str(path), map_size=1 << 30)
    with environment.begin(write=True) as transaction:
        for index, (image, label) in enumerate(zip(images, labels)):
            datum = caffe.proto.caffe_pb2.Datum(
                channels=1, height=28, width=28, data=image.tobytes(), label=int(label)
            )
            transaction.put(f"{index:08d}".encode(), datum.SerializeToString())
    environment.close()


def prepare(shared: Path, folder: Path, train_samples: int) -> None:
    """Lay out what LeNet's prototxt expects below ``folder``."""
    sys.path.insert(0, str(shared / "data"))
    import load

    for split in ("train", "test"):
        images, labels = load.mnist(split)
        count = train_samples if split == "train" else len(images)
        write_lmdb(folder / f"examples/mnist/mnist_{split}_lmdb", images[:count], labels[:count])


def accuracy_in_caffe(model: str, weights: str) -> float:
    """Return the accuracy over the 10,000 test images (100 batches of 100)."""
    net = caffe.Net(model, caffe.TEST, weights=weights)
    # forward() returns views of the blobs, which the next forward overwrites.
    return float(np.mean([float(net.forward()["accuracy"]) for _ in range(100)]))


def quantize(shared: Path, shift_n_algo: str, iterations: int) -> str:
    """Run the workflow in the working folder and return the save path."""
    model = str(shared / "models/lenet/lenet_train_test.prototxt")
    weights = str(shared / "models/lenet/lenet_iter_10000.caffemodel")
    amct.create_quant_retrain_config("tmp/config.json", model, weights)
    config = json.loads(Path("tmp/config.json").read_text())
    if shift_n_algo != "search_n_v2":
        config["shift_n_algo"] = shift_n_algo
    Path("tmp/config.json").write_text(json.dumps(config))
    modified = ("tmp/modified_model.prototxt", "tmp/modified_model.caffemodel")
    amct.create_quant_retrain_model(model, weights, "tmp/config.json", *modified, "tmp/record.txt")
    Path("tmp/solver.prototxt").write_text(SOLVER.format(iterations=iterations))
    amct.check_solver("tmp/solver.prototxt", "tmp/config.json", modified[0])
    solver = caffe.get_solver("tmp/solver.prototxt")
    solver.net.copy_from(modified[1])
    solver.solve()
    save_path = f"result/{shift_n_algo}"
    amct.save_quant_retrain_model(
        modified[0],
        f"tmp/solver_iter_{iterations}.caffemodel",
        "Both",
        save_path,
        "tmp/record.txt",
        "tmp/config.json",
        deploy_backend="ascend",
    )
    return save_path


def measure(shared: Path, shift_n_algo: str, iterations: int, samples: int) -> dict:
    """Quantize, and compare fake-quant and integer simulation over the test images."""
    import load

    save_path = quantize(shared, shift_n_algo, iterations)
    images, labels = load.mnist("test")
    images, labels = images[:samples, None].astype(np.float32) * SCALE, labels[:samples]
    simulator = Simulator(*deploy_files(save_path))
    classes = np.concatenate(
        [
            simulator.run({"data": images[i : i + 500]})["prob"].argmax(axis=1)
            for i in range(0, samples, 500)
        ]
    )
    plugins = workflow.registries()
    executor = plugins.frontends.get("caffe").fake_quant_executor(save_path)
    fake_classes = np.concatenate(
        [
            executor.run({"data": images[i : i + 500]}, ["prob"])["prob"].argmax(axis=1)
            for i in range(0, samples, 500)
        ]
    )
    report = verify(save_path, {"data": images})
    return {
        "shift_n_algo": shift_n_algo,
        "fake_quant_in_caffe": accuracy_in_caffe(*fake_quant_files(save_path)),
        "fake_quant": float(np.mean(fake_classes == labels)),
        "integer": float(np.mean(classes == labels)),
        "differing_classes": int(np.sum(classes != fake_classes)),
        "verify": report.as_json(),
    }


def main() -> None:
    """Measure and print."""
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=os.environ.get("AMCT_SHARED"))
    parser.add_argument("--iterations", type=int, default=200)
    parser.add_argument("--samples", type=int, default=10000, help="test images to compare on")
    parser.add_argument("--train-samples", type=int, default=60000)
    parser.add_argument("--shift-n-algo", action="append", help="default: search_n_v2 and none")
    arguments = parser.parse_args()
    shared = Path(arguments.shared or root.parent / "shared").resolve()
    with tempfile.TemporaryDirectory() as folder:
        prepare(shared, Path(folder), arguments.train_samples)
        os.chdir(folder)
        results = {
            "float32": accuracy_in_caffe(
                str(shared / "models/lenet/lenet_train_test.prototxt"),
                str(shared / "models/lenet/lenet_iter_10000.caffemodel"),
            ),
            "samples": arguments.samples,
            "iterations": arguments.iterations,
            "quantized": [
                measure(shared, algo, arguments.iterations, arguments.samples)
                for algo in arguments.shift_n_algo or ("search_n_v2", "none")
            ],
        }
        os.chdir(root)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
