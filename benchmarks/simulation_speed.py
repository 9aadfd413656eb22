"""Time of the integer simulation beside float32 Caffe and onnxruntime's own int8 model.

All run the same network on the same images in one process with two threads, in turn; what
counts is the median of the rounds' ratios.  Weights are random and bounds arbitrary: neither
changes the time.  onnxruntime's model is what its own tools make of the network; its integers are
not the chip's.  It prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, Tuple

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "2"
os.environ.setdefault("GLOG_minloglevel", "2")

import caffe
import networks
import numpy as np
import onnxruntime_qdq as peer
import paired
from engine_times import times_by_kind
from numpy.typing import NDArray

from amct_caffe.model.to_graph import to_graph
from amct_core import workflow
from amct_core.file_names import deploy_files
from cpu_sim_backend import Simulator
from cpu_sim_backend.fast.engine import FastEngine
from cpu_sim_backend.fast.instructions import Vnni256, Vnni512, usable

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.conformance.runner import pretend_training

ROOT = Path(__file__).resolve().parent.parent
THREADS = 2
NETWORKS = {
    "squeezenet": "squeezenet/SqueezeNet_deploy.prototxt",
    "open_nsfw": "open_nsfw/deploy.prototxt",
    "resnet50": "prototxt_only/ResNet-50-deploy.prototxt",
}
BATCHES = (1, 8)
CAFFE, INTEGERS, QDQ = "float32_in_caffe", "integers", "onnxruntime_qdq"
WITHOUT_VNNI = "integers_without_vnni"
LIMITS = {"times_as_fast_as_float32_caffe": 4.0, "time_over_onnxruntime_qdq": 3.0}
"""What we promise: at least, and at most."""


def deployed(model: Path, folder: Path) -> str:
    """Quantize ``model`` with random weights; return the prefix of what was saved."""
    text = folder / "net.prototxt"
    text.write_text(model.read_text())
    weights, config = folder / "net.caffemodel", folder / "c.json"
    shape = tuple(caffe.Net(str(text), caffe.TEST).blobs["data"].shape)
    networks.write_random_weights(str(text), str(weights), random_images(shape, 2))
    workflow.create_config(str(text), str(weights), str(config))
    modified = [str(folder / f"modified.{end}") for end in ("prototxt", "caffemodel")]
    record, prefix = str(folder / "record.txt"), str(folder / "saved")
    workflow.insert(str(text), str(weights), str(config), *modified, record)
    pretend_training(folder)
    snapshot = str(folder / "snapshot.caffemodel")
    workflow.save(modified[0], snapshot, prefix, "Deploy", record, str(config))
    return prefix


def random_images(shape: Tuple[int, ...], batch: int) -> NDArray[np.float32]:
    """Return random images, float32 ``[batch, ...]``."""
    values = np.random.default_rng(1).normal(0, 50, (batch, *shape[1:]))
    return values.astype(np.float32)


class Contestants:
    """One network in all its forms, ready to run.

    Args:
        model: its definition.
        folder: where files go.
    """

    def __init__(self, model: Path, folder: Path) -> None:
        prefix = deployed(model, folder)
        files = deploy_files(prefix)
        self.simulator = Simulator(*files, engine="fast", threads=THREADS)
        self.without_vnni = FastEngine(
            self.simulator.graph,
            THREADS,
            next(one for one in usable() if not isinstance(one, (Vnni256, Vnni512))),
        )
        self.net = caffe.Net(str(model), caffe.TEST, weights=str(folder / "net.caffemodel"))
        graph = to_graph(peer.folded_network(model, folder / "net.caffemodel"), "TEST")
        self.macs = peer.macs_by_layer(graph)
        ((self.blob, self.shape),) = self.simulator.inputs.items()
        batch = {self.blob: random_images(self.shape, 2)}
        self.float32, self.qdq = peer.write_models(graph, folder, batch)
        self.session, self.qdq_nodes = peer.session(self.qdq, THREADS)

    def steps(self, batch: int) -> Dict[str, Callable[[], Any]]:
        """Return one run of each on the same batch."""
        inputs = {self.blob: random_images(self.shape, batch)}
        self.net.blobs[self.blob].reshape(*inputs[self.blob].shape)
        self.net.reshape()
        self.net.blobs[self.blob].data[...] = inputs[self.blob]
        wanted = frozenset(self.simulator.graph.outputs)
        return {
            CAFFE: self.net.forward,
            INTEGERS: lambda: self.simulator.run(inputs),
            WITHOUT_VNNI: lambda: self.without_vnni.run(inputs, wanted),
            QDQ: lambda: self.session.run(None, inputs),
        }

    @property
    def gigamacs(self) -> float:
        """Multiply-accumulates of one image, in units of 1e9."""
        return sum(self.macs.values()) / 1e9


def agreement(contestants: Contestants) -> Dict[str, float]:
    """Return whether the peer computes this network at all.

    The float32 model that it was quantized from must give Caffe's outputs; how far those of the
    quantized one correlate depends on the weights, which are random.
    """
    inputs = {contestants.blob: random_images(contestants.shape, 1)}
    (output,) = contestants.steps(1)[CAFFE]().values()
    expected = output.reshape(-1)
    models = (peer.session(contestants.float32, THREADS)[0], contestants.session)
    float32, qdq = (session.run(None, inputs)[0].reshape(-1) for session in models)
    difference = np.abs(float32 - expected).max() / np.abs(expected).max()
    return {
        "difference_of_float_model_over_largest_output": float(difference),
        "correlation_of_qdq": round(float(np.corrcoef(expected, qdq)[0, 1]), 4),
    }


def measure(model: Path, rounds: int) -> Dict[str, Any]:
    """Return the times of one network at each batch size."""
    with tempfile.TemporaryDirectory() as folder:
        contestants = Contestants(model, Path(folder))
        return {
            "gmac_per_image": round(contestants.gigamacs, 3),
            "qdq_products": peer.products(contestants.qdq_nodes),
            "qdq_nodes": contestants.qdq_nodes,
            "qdq_beside_float32_caffe": agreement(contestants),
            "batches": [measure_batch(contestants, batch, rounds) for batch in BATCHES],
        }


def measure_batch(contestants: Contestants, batch: int, rounds: int) -> Dict[str, Any]:
    """Return the times at one batch size."""
    steps = contestants.steps(batch)
    times = paired.in_turn(steps, rounds)
    medians = paired.medians(times)
    rates = {
        name: round(batch * contestants.gigamacs / milliseconds * 1000, 1)
        for name, milliseconds in medians.items()
    }
    return {
        "batch": batch,
        "median_ms": medians,
        "gmac_per_second": rates,
        "times_as_fast_as_float32_caffe": paired.ratio(times, CAFFE, INTEGERS),
        "time_over_onnxruntime_qdq": paired.ratio(times, INTEGERS, QDQ),
        "time_without_vnni_over_integers": paired.ratio(times, WITHOUT_VNNI, INTEGERS),
        "integers_by_kind": times_by_kind(steps[INTEGERS], contestants.macs, batch, rounds),
        "raw_ms": times,
    }


def processor() -> Dict[str, Any]:
    """Return what decides the speed of 8-bit products here."""
    return {
        "instructions": [type(one).__name__ for one in usable()],
        "peak_gmac_per_second_of_onnxruntime_products": peer.product_rate(THREADS),
    }


def main() -> None:
    """Print the measurement as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=os.environ.get("AMCT_SHARED"))
    parser.add_argument("--network", action="append", choices=sorted(NETWORKS), help="default: all")
    parser.add_argument("--rounds", type=int, default=9, help="two at least")
    arguments = parser.parse_args()
    # Both tools warn of what is done here on purpose: no training, bounds from one batch.
    logging.disable(logging.WARNING)
    shared = Path(arguments.shared or ROOT.parent / "shared").resolve()
    results: Dict[str, Any] = {"threads": THREADS, "limits": LIMITS, **processor(), "networks": {}}
    for name in arguments.network or NETWORKS:
        print(f"{name} ...", file=sys.stderr)
        results["networks"][name] = measure(shared / "models" / NETWORKS[name], arguments.rounds)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
