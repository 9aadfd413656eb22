"""``amct evaluate`` beside loops over pycaffe, written by hand, on real networks and images.

LeNet, ResNet-20, a small MobileNet v2 and SqueezeNet are each quantized and trained for a few
iterations by ``amct qat run``, with data layers and an Accuracy layer of their own.  Then
``amct evaluate --retrained`` runs on the network's data layers, on an ``.npz`` file, and on a
folder of images with a list of labels.  Each number of each column is compared with what a loop by
hand gives, which reads the same files, feeds pycaffe (for the integers: the simulator) and counts.
``equal`` says whether all of them are the same to the last bit.  The script prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Mapping, Tuple

os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")

import attrs
import caffe
import numpy as np
from google.protobuf import text_format
from networks import CIFAR_DEVIATION, CIFAR_MEAN, REAL_NETWORKS, Network, load_images
from networks import training_model as with_inputs
from numpy.typing import NDArray
from PIL import Image

from cpu_sim_backend import Simulator

Array = NDArray[Any]
Batches = Callable[[], Iterator[Tuple[Array, Array]]]
Run = Callable[[Array], Mapping[str, Array]]

SAMPLES = {"lenet": 2_000, "resnet20": 500, "mobilenet_v2_cifar": 500, "squeezenet": 40}
TRAINED_ON = 4
"""Images per iteration of training, whose result need not be good."""
BATCH = {"lenet": 100, "resnet20": 50, "mobilenet_v2_cifar": 50, "squeezenet": 4}
PREPROCESSING: Dict[str, Dict[str, Any]] = {
    "mnist": {"channels": "GRAY", "scale": 0.00390625},
    "cifar10": {
        "channels": "RGB",
        "mean": [255 * float(value) for value in CIFAR_MEAN],
        "std": [255 * float(value) for value in CIFAR_DEVIATION],
    },
    "imagenet": {"channels": "BGR", "crop": {"width": 227, "height": 227}, "mean": [104, 117, 123]},
}
PREFIX, TRAINED = "q/result/model", ("q/modified_model.prototxt", "q/snapshot_iter_4.caffemodel")
SOLVER = """\
net: "train.prototxt"
test_iter: 1
test_interval: 4
test_initialization: false
base_lr: 1e-5
lr_policy: "fixed"
momentum: 0.9
max_iter: 4
snapshot: 4
snapshot_prefix: "elsewhere"
random_seed: 1
solver_mode: CPU
"""


@attrs.frozen
class Blobs:
    """Of one network: its input, the scores that labels are compared with, and all outputs."""

    data: str
    scores: str
    compared: Tuple[str, ...]


def amct(*arguments: str) -> str:
    """Run a command of ours in a process of its own and return what it prints."""
    command = [sys.executable, "-m", "amct_core", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def write_training_model(network: Network, model: str, labels: Array, batch: int) -> None:
    """Write ``train.prototxt``: the network with data layers, a loss and an Accuracy layer."""
    net = caffe.proto.caffe_pb2.NetParameter()
    text_format.Merge(with_inputs(network, model, {"label": labels}), net)
    layers = [layer for layer in net.layer if layer.type != "Input"]
    del net.layer[:]
    for phase in (caffe.TRAIN, caffe.TEST):
        layer = net.layer.add(name="digits", type="Python", top=[network.data, "label"])
        layer.include.add(phase=phase)
        layer.python_param.module, layer.python_param.layer = "amct_caffe.layers", "ArrayData"
        size = TRAINED_ON if phase == caffe.TRAIN else batch
        arrays = {"file": "x.npz", "arrays": [network.data, "label"], "batch_size": size}
        layer.python_param.param_str = json.dumps(arrays)
    net.layer.extend(layers)
    net.layer.add(
        name="accuracy", type="Accuracy", bottom=[network.logits[0], "label"], top=["accuracy"]
    )
    Path("train.prototxt").write_text(text_format.MessageToString(net))


def write_folder(shared: Path, network: Network, samples: int) -> None:
    """Write ``images``, ``list.txt`` with their labels, and ``pre.json``."""
    import load

    os.mkdir("images")
    if network.dataset == "imagenet":
        images, labels = load.imagenet_sample()
    else:
        images, labels = (load.mnist if network.dataset == "mnist" else load.cifar10)("test")
    lines = []
    for index in range(samples):
        Image.fromarray(images[index]).save(f"images/{index:05}.png", compress_level=1)
        lines.append(f"{index:05}.png {labels[index]}\n")
    Path("list.txt").write_text("".join(reversed(lines)))
    Path("pre.json").write_text(json.dumps(PREPROCESSING[network.dataset]))


def preprocessed(path: str, network: Network) -> Array:
    """Return what a user makes of an image, by hand."""
    pixels = np.asarray(Image.open(path))
    if network.dataset == "mnist":
        return pixels[None].astype(np.float32) * np.float32(0.00390625)
    if network.dataset == "cifar10":
        mean, deviation = (
            np.array([255 * float(value) for value in values], np.float32).reshape(3, 1, 1)
            for values in (CIFAR_MEAN, CIFAR_DEVIATION)
        )
        return (pixels.transpose(2, 0, 1).astype(np.float32) - mean) / deviation
    top, left = ((size - 227) // 2 for size in pixels.shape[:2])
    bgr = pixels[top : top + 227, left : left + 227, ::-1].transpose(2, 0, 1).astype(np.float32)
    return bgr - np.array([104, 117, 123], np.float32).reshape(3, 1, 1)


def batches_of_arrays(images: Array, labels: Array, batch: int) -> Batches:
    """Return a loop over arrays."""

    def loop() -> Iterator[Tuple[Array, Array]]:
        for start in range(0, len(images), batch):
            yield images[start : start + batch], labels[start : start + batch]

    return loop


def batches_of_folder(network: Network, samples: int, batch: int) -> Batches:
    """Return a loop over the folder and the list."""
    by_name = dict(line.split() for line in Path("list.txt").read_text().splitlines())
    names = sorted(os.listdir("images"))[:samples]

    def loop() -> Iterator[Tuple[Array, Array]]:
        for start in range(0, len(names), batch):
            part = names[start : start + batch]
            images = [preprocessed(f"images/{name}", network) for name in part]
            yield np.stack(images), np.array([int(by_name[name]) for name in part])

    return loop


def fed_net(model: str, weights: str, data: str, shape: Tuple[int, ...], softmax_of: str) -> Any:
    """Return a net in Caffe with an Input in place of data layers, and a Softmax of the scores.

    Layers that read the label go; so do those of the training that write into its record.
    """
    net = caffe.proto.caffe_pb2.NetParameter()
    text_format.Merge(Path(model).read_text(), net)
    kept = [
        layer
        for layer in net.layer
        if data not in layer.top
        and "label" not in (*layer.bottom, *layer.top)
        and layer.python_param.layer not in ("ShiftSearch", "InputShape")
    ]
    kept = [caffe.proto.caffe_pb2.LayerParameter.FromString(x.SerializeToString()) for x in kept]
    del net.layer[:]
    net.layer.add(name=data, type="Input", top=[data]).input_param.shape.add(dim=shape)
    net.layer.extend(kept)
    if not any("prob" in layer.top for layer in kept):
        net.layer.add(name="by hand", type="Softmax", bottom=[softmax_of], top=["prob"])
    Path("by_hand.prototxt").write_text(text_format.MessageToString(net))
    return caffe.Net("by_hand.prototxt", caffe.TEST, weights=weights)


def in_caffe(net: Any, blobs: Blobs) -> Run:
    """Return a function that runs a batch in ``net``."""

    def run(images: Array) -> Mapping[str, Array]:
        net.blobs[blobs.data].reshape(*images.shape)
        net.blobs[blobs.data].data[...] = images
        net.forward()
        return {blob: net.blobs[blob].data.copy() for blob in blobs.compared}

    return run


def by_hand(nets: Mapping[str, Run], batches: Batches, blobs: Blobs) -> Dict[str, Any]:
    """Return by column what a user would count, as ``amct evaluate`` says it."""
    found: Dict[str, Any] = {
        name: {"top": {1: 0, 5: 0}, "same": 0, "signal": {}, "noise": {}} for name in nets
    }
    for images, labels in batches():
        outputs = {name: run(images) for name, run in nets.items()}
        reference = outputs["float32"]
        for name, own in outputs.items():
            tally, scores = found[name], own[blobs.scores].reshape(len(images), -1)
            for row, label in zip(scores, labels):
                better = int((np.delete(row, int(label)) >= row[int(label)]).sum())
                for k in (1, 5):
                    tally["top"][k] += better < k
            decisions = reference[blobs.scores].reshape(scores.shape).argmax(1)
            tally["same"] += int((scores.argmax(1) == decisions).sum())
            for blob in blobs.compared:
                x = reference[blob].astype(np.float64)
                tally["signal"][blob] = tally["signal"].get(blob, 0.0) + float((x**2).sum())
                noise = float(((x - own[blob]) ** 2).sum())
                tally["noise"][blob] = tally["noise"].get(blob, 0.0) + noise
    return {name: numbers(tally, blobs) for name, tally in found.items()}


def numbers(tally: Mapping[str, Any], blobs: Blobs) -> Dict[str, Any]:
    """Return a column in one form for both sides."""
    snr = {
        blob: 10 * math.log10(tally["signal"][blob] / noise) if noise else None
        for blob, noise in tally["noise"].items()
    }
    return {
        "top-1": tally["top"][1],
        "top-5": tally["top"][5],
        "same_decisions": tally["same"],
        "snr": {blob: snr[blob] for blob in blobs.compared},
    }


def told(report: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the same of what ``amct evaluate --json`` has printed."""
    found = {}
    for column in report["columns"]:
        outputs = {output["blob"]: output for output in column["outputs"]}
        found[column["name"]] = {
            "top-1": column["top_k"]["1"]["right"],
            "top-5": column["top_k"]["5"]["right"],
            "same_decisions": outputs[report["scores"]]["same_decisions"],
            "snr": {blob: output["snr"] for blob, output in outputs.items()},
        }
    return found


def measure(shared: Path, name: str, samples: int) -> Dict[str, Any]:
    """Measure one network in the working folder."""
    network, batch = REAL_NETWORKS[name], BATCH[name]
    model, weights = (str(shared / "models" / each) for each in (network.model, network.weights))
    images, labels = load_images(shared, network, samples)
    np.savez("x.npz", **{network.data: images, "label": labels})
    write_training_model(network, model, labels, batch)
    write_folder(shared, network, len(images))
    Path("solver.prototxt").write_text(SOLVER)
    amct("qat", "run", "train.prototxt", weights, "--solver", "solver.prototxt", "-o", "q")
    deployed = tuple(f"{PREFIX}_deploy_{end}" for end in ("model.prototxt", "weights.caffemodel"))
    simulator = Simulator(*deployed)
    scores = network.logits[0]
    blobs = Blobs(network.data, scores, tuple(dict.fromkeys((*simulator.outputs, scores))))
    files = {
        "float32": ("train.prototxt", weights),
        "retrained": TRAINED,
        "fake-quant": tuple(
            f"{PREFIX}_fake_quant_{end}" for end in ("model.prototxt", "weights.caffemodel")
        ),
    }
    shape = (batch, *images.shape[1:])
    nets: Dict[str, Run] = {
        column: in_caffe(fed_net(*pair, network.data, shape, scores), blobs)
        for column, pair in files.items()
    }
    nets["integer"] = lambda batch: simulator.run({network.data: batch}, blobs.compared)
    of_arrays = batches_of_arrays(images, labels, batch)
    of_folder = batches_of_folder(network, len(images), batch)
    from_arrays = by_hand(nets, of_arrays, blobs)
    return {
        "samples": len(images),
        "batch": batch,
        "sources": {
            source: compared(options, expected, batch)
            for source, options, expected in (
                (
                    "data layer",
                    ("--data-layer", "--iterations", str(len(images) // batch)),
                    from_arrays,
                ),
                ("npz", ("--data", "x.npz"), from_arrays),
                (
                    "folder",
                    ("--data", "images", "--preprocess", "pre.json", "--labels", "list.txt"),
                    by_hand(nets, of_folder, blobs),
                ),
            )
        },
    }


def compared(options: Tuple[str, ...], expected: Dict[str, Any], batch: int) -> Dict[str, Any]:
    """Return what ``amct evaluate`` says, and whether it is what the loop by hand says."""
    start = time.perf_counter()
    size = ("--batch-size", str(batch))
    report = json.loads(
        amct("evaluate", PREFIX, *options, *size, "--retrained", *TRAINED, "--json")
    )
    found = told(report)
    return {
        "equal": found == expected,
        "seconds": round(time.perf_counter() - start, 1),
        "columns": found,
        **({} if found == expected else {"by_hand": expected}),
    }


def main() -> None:
    """Measure and print."""
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=os.environ.get("AMCT_SHARED"))
    parser.add_argument("--network", action="append", choices=sorted(SAMPLES))
    parser.add_argument("--samples", type=int, help="Fewer images; a multiple of the batch.")
    arguments = parser.parse_args()
    shared = Path(arguments.shared or root.parent / "shared").resolve()
    results: Dict[str, Any] = {}
    for name in arguments.network or SAMPLES:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            results[name] = measure(shared, name, arguments.samples or SAMPLES[name])
            os.chdir(root)
    print(json.dumps({"networks": results}, indent=2))


if __name__ == "__main__":
    main()
