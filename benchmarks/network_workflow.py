"""The steps that a user takes a network through, in the working folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Mapping

import caffe
import numpy as np
from networks import Array, Network, training_model

import amct_caffe as amct

MODIFIED = ("tmp/modified_model.prototxt", "tmp/modified_model.caffemodel")
SAVED = "result/model"
SOLVER = """\
net: "tmp/modified_model.prototxt"
test_iter: {batch_num}
test_interval: {iterations}
test_initialization: false
base_lr: {base_lr}
lr_policy: "fixed"
momentum: 0.9
type: "{solver}"
max_iter: {iterations}
snapshot: {iterations}
snapshot_prefix: "tmp/solver"
random_seed: 1
solver_mode: CPU
"""


def run_float32(model: str, weights: str, network: Network, images: Array) -> Dict[str, Array]:
    """Return the outputs and logits in float32."""
    net = caffe.Net(model, caffe.TEST, weights=weights)
    kept: Dict[str, List[Array]] = {blob: [] for blob in (*network.outputs, *network.logits)}
    for start in range(0, len(images), network.batch_size):
        batch = images[start : start + network.batch_size]
        net.blobs[network.data].reshape(*batch.shape)
        net.blobs[network.data].data[...] = batch
        net.forward()
        for blob, batches in kept.items():
            batches.append(net.blobs[blob].data.copy())
    return {blob: np.concatenate(batches) for blob, batches in kept.items()}


def write_training_model(
    network: Network, model: str, images: Array, labels: Any, float32: Mapping[str, Array]
) -> Dict[str, Array]:
    """Write ``tmp/train.prototxt`` and return what it is fed: images and what they should give.

    Args:
        network: tells whether that is their labels, or the logits that they had in float32.
        model: prototxt without a loss.
        images, labels: to train on.
        float32: logits of these images and perhaps more, by blob.
    """
    targets = {f"target_{blob}": float32[blob][: len(images)] for blob in network.logits}
    if network.labelled:
        targets = {"label": labels}
    Path("tmp/train.prototxt").write_text(training_model(network, model, targets))
    return {network.data: images, **targets}


def feed(net: Any, arrays: Mapping[str, Array], batch: int) -> None:
    """Put one batch of ``arrays`` into the input blobs of ``net``, beginning again at their end."""
    for blob, array in arrays.items():
        size = net.blobs[blob].shape[0]
        net.blobs[blob].data[...] = array[np.arange(batch * size, (batch + 1) * size) % len(array)]


def train(network: Network, arrays: Mapping[str, Array], iterations: int) -> List[float]:
    """Train with a solver, run the TEST pass, and return the loss of each iteration."""
    amct.check_solver("tmp/solver.prototxt", "tmp/config.json", MODIFIED[0])
    solver = caffe.get_solver("tmp/solver.prototxt")
    solver.net.copy_from(MODIFIED[1])
    losses = []
    for iteration in range(iterations):
        feed(solver.net, arrays, iteration)
        solver.step(1)
        own = (float(solver.net.blobs[f"loss_{blob}"].data) for blob in network.logits)
        losses.append(round(sum(own), 4))
    test = solver.test_nets[0]
    test.share_with(solver.net)
    for batch in range(network.batch_num):
        feed(test, arrays, batch)
        test.forward()
    return losses


def quantize(
    network: Network,
    weights: str,
    arrays: Mapping[str, Array],
    iterations: int,
    batch_norm: str,
) -> List[float]:
    """Run the workflow on ``tmp/train.prototxt``; return the losses."""
    model = "tmp/train.prototxt"
    amct.create_quant_retrain_config("tmp/config.json", model, weights)
    config = json.loads(Path("tmp/config.json").read_text())
    config.update(batch_num=network.batch_num, batch_norm=batch_norm)
    Path("tmp/config.json").write_text(json.dumps(config))
    amct.create_quant_retrain_model(model, weights, "tmp/config.json", *MODIFIED, "tmp/record.txt")
    settings = {name: getattr(network, name) for name in ("batch_num", "base_lr", "solver")}
    Path("tmp/solver.prototxt").write_text(SOLVER.format(iterations=iterations, **settings))
    losses = train(network, arrays, iterations)
    amct.save_quant_retrain_model(
        MODIFIED[0],
        f"tmp/solver_iter_{iterations}.caffemodel",
        "Both",
        SAVED,
        "tmp/record.txt",
        "tmp/config.json",
        deploy_backend="ascend",
    )
    return losses
