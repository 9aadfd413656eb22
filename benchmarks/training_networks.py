"""The networks whose training is timed, in float32 and with fake quantization."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Tuple

import attrs
import caffe
import numpy as np
from networks import fill_with_random_weights

from amct_caffe.model.formats.prototxt import document as documents
from amct_core import workflow
from amct_core.kernels import arq, ifmr, ulq

FLOAT32, QAT = "float32", "qat"
IMAGE_GRADIENT = "float32_with_image_gradient"
"""The float32 network, and Caffe computes the gradient of the images as it does in QAT."""
KINDS = (FLOAT32, QAT, IMAGE_GRADIENT)
SOLVER = """\
net: "{net}"
base_lr: 1e-6
lr_policy: "fixed"
momentum: 0.9
weight_decay: 0.0005
max_iter: 1000000
snapshot_prefix: "{net}"
random_seed: 1
solver_mode: CPU
"""
_HEAD = """\
layer {{ name: "data" type: "Input" top: "data" top: "label"
  input_param {{ shape {{ dim: {batch} dim: {shape[0]} dim: {shape[1]} dim: {shape[2]} }}
    shape {{ dim: {batch} }} }} }}
"""
_LOSS = """\
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "{logits}" bottom: "label" top: "loss" }}
"""


@attrs.frozen
class TrainedNetwork:
    """A network definition and the batches it is trained with.

    Attributes:
        model: a deploy prototxt below ``models``, whose input is called ``data``.
        shape: channels, height and width of one input.
        batch: inputs per iteration.
        classes: labels are drawn from 0 .. classes - 1.
    """

    model: str
    shape: Tuple[int, int, int]
    batch: int
    classes: int


NETWORKS: Dict[str, TrainedNetwork] = {
    "lenet": TrainedNetwork("lenet/lenet.prototxt", (1, 28, 28), 64, 10),
    "resnet20": TrainedNetwork("resnet20_cifar/resnet20.prototxt", (3, 32, 32), 100, 10),
    "squeezenet": TrainedNetwork("squeezenet/SqueezeNet_deploy.prototxt", (3, 227, 227), 8, 1000),
    "resnet50": TrainedNetwork("prototxt_only/ResNet-50-deploy.prototxt", (3, 224, 224), 8, 1000),
    "mobilenet_v1": TrainedNetwork(
        "prototxt_only/mobilenet_v1_deploy.prototxt", (3, 224, 224), 8, 1000
    ),
}


def prepare(network: TrainedNetwork, models: Path, folder: Path) -> None:
    """Write the networks with the same random weights, and a solver for each, into ``folder``."""
    document = documents.read(str(models / network.model))
    for field in ("input", "input_dim", "input_shape"):
        document.fields.remove(field)
    document.layers = [layer for layer in document.layers if layer.type not in ("Input", "Softmax")]
    logits = document.layers[-1].tops[0]
    head = _HEAD.format(batch=network.batch, shape=network.shape)
    files = {
        kind: [str(folder / f"{kind}.{end}") for end in ("prototxt", "caffemodel")]
        for kind in (FLOAT32, QAT)
    }
    model, weights = files[FLOAT32]
    trained = head + document.format() + _LOSS.format(logits=logits)
    Path(model).write_text(trained)
    _write_random_weights(model, weights, network)
    config = folder / "config.json"
    workflow.create_config(model, weights, str(config))
    workflow.insert(model, weights, str(config), *files[QAT], str(folder / "record.txt"))
    (folder / f"{IMAGE_GRADIENT}.prototxt").write_text("force_backward: true\n" + trained)
    for kind in KINDS:
        definition = folder / f"{kind}.prototxt"
        (folder / f"{kind}_solver.prototxt").write_text(SOLVER.format(net=definition))


def solver(network: TrainedNetwork, kind: str, folder: Path) -> Any:
    """Return the solver of one of the networks, ready to step."""
    made = caffe.SGDSolver(str(folder / f"{kind}_solver.prototxt"))
    weights = QAT if kind == QAT else FLOAT32
    made.net.copy_from(str(folder / f"{weights}.caffemodel"))
    _feed(made.net, network)
    return made


def load_kernels() -> None:
    """Load the kernels that training would load when its layers are set up."""
    for kernels in (arq, ifmr, ulq):
        kernels.prepare()


def weight_counts(folder: Path) -> Dict[str, int]:
    """Return the number of quantized weights and the layers that the modified network got."""
    document = documents.read(str(folder / f"{QAT}.prototxt"))
    counts = {"weights_quantized": 0, "ActivationQAT": 0, "WeightQAT": 0}
    for layer in document.layers_in("TRAIN"):
        own = layer.message.message("python_param")
        kind = own.string("layer") if own is not None else None
        if own is not None and kind in counts:
            counts[kind] += 1
        if own is not None and kind == "WeightQAT":
            shape = json.loads(own.string("param_str") or "")["shape"]
            counts["weights_quantized"] += int(np.prod(shape))
    return counts


def forget_bounds(net: Any) -> None:
    """Make the next iteration find all clip bounds as the first one did."""
    for name, layer in zip(net._layer_names, net.layers):
        if type(layer).__name__ == "ActivationQAT":
            for blob in net.params[name]:
                blob.data[...] = 0


def copied_bytes(net: Any) -> int:
    """Return the bytes of quantized activations and weights, and of what Caffe keeps beside them.

    An activation has data and diff; weights have these and the history of the solver's momentum.
    """
    total = 0
    for name, layer in zip(net._layer_names, net.layers):
        if type(layer).__name__ == "ActivationQAT":
            total += 2 * net.blobs[net.top_names[name][0]].data.nbytes
        elif type(layer).__name__ == "WeightQAT":
            total += 3 * net.params[name][1].data.nbytes
    return total


def _feed(net: Any, network: TrainedNetwork) -> None:
    generator = np.random.default_rng(1)
    net.blobs["data"].data[...] = generator.normal(0, 1, net.blobs["data"].shape)
    net.blobs["label"].data[...] = generator.integers(0, network.classes, network.batch)


def _write_random_weights(model: str, weights: str, network: TrainedNetwork) -> None:
    net = caffe.Net(model, caffe.TEST)
    _feed(net, network)
    fill_with_random_weights(net, gamma_spread=0.2)
    net.save(weights)
