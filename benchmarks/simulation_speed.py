"""Time of the integer simulation beside float32 Caffe, on the same networks and images.

Both run in one process with two threads, in turn, so that what else the machine does hits both;
what counts is the ratio of medians.  Weights are random and bounds arbitrary: neither changes the
time.  It prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "2"
os.environ.setdefault("GLOG_minloglevel", "2")

import caffe
import numpy as np

from amct_core import workflow
from cpu_sim_backend import Simulator
from cpu_sim_backend.fast.instructions import usable

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.conformance.runner import pretend_training
from tests.conformance.weights import write_random_weights

ROOT = Path(__file__).resolve().parent.parent
THREADS = 2
NETWORKS = {
    "squeezenet": "squeezenet/SqueezeNet_deploy.prototxt",
    "open_nsfw": "open_nsfw/deploy.prototxt",
    "resnet50": "prototxt_only/ResNet-50-deploy.prototxt",
}
BATCHES = (1, 8)


def deployed(model: Path, folder: Path) -> str:
    """Quantize ``model`` with random weights; return the prefix of what was saved."""
    text = folder / "net.prototxt"
    text.write_text(model.read_text())
    weights, config = folder / "net.caffemodel", folder / "c.json"
    write_random_weights(str(text), weights)
    workflow.create_config(str(text), str(weights), str(config))
    modified = [str(folder / f"modified.{end}") for end in ("prototxt", "caffemodel")]
    record, prefix = str(folder / "record.txt"), str(folder / "saved")
    workflow.insert(str(text), str(weights), str(config), *modified, record)
    pretend_training(folder)
    snapshot = str(folder / "snapshot.caffemodel")
    workflow.save(modified[0], snapshot, prefix, "Deploy", record, str(config))
    return prefix


def in_turn(steps: Dict[str, Callable[[], Any]], rounds: int) -> Dict[str, List[float]]:
    """Return the times of each step in milliseconds, after one run that does not count."""
    times: Dict[str, List[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    for _ in range(rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            times[name].append((time.perf_counter() - start) * 1000)
    return times


def measure(model: Path, rounds: int) -> List[Dict[str, Any]]:
    """Return the times of one network at each batch size."""
    with tempfile.TemporaryDirectory() as folder:
        prefix = deployed(model, Path(folder))
        files = f"{prefix}_deploy_model.prototxt", f"{prefix}_deploy_weights.caffemodel"
        simulator = Simulator(*files, engine="fast", threads=THREADS)
        net = caffe.Net(str(model), caffe.TEST, weights=f"{folder}/net.caffemodel")
        ((blob, shape),) = simulator.inputs.items()
        results = []
        for batch in BATCHES:
            x = np.random.default_rng(1).normal(0, 50, (batch, *shape[1:])).astype(np.float32)
            net.blobs[blob].reshape(*x.shape)
            net.reshape()
            net.blobs[blob].data[...] = x
            times = in_turn(
                {"float32_in_caffe": net.forward, "integers": lambda x=x: simulator.run({blob: x})},
                rounds,
            )
            medians = {name: round(statistics.median(own), 2) for name, own in times.items()}
            ratio = medians["float32_in_caffe"] / medians["integers"]
            results.append(
                {"batch": batch, "milliseconds": medians, "times_as_fast": round(ratio, 2)}
            )
        return results


def main() -> None:
    """Print the measurement as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=os.environ.get("AMCT_SHARED"))
    parser.add_argument("--network", action="append", choices=sorted(NETWORKS), help="default: all")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    shared = Path(arguments.shared or ROOT.parent / "shared").resolve()
    results = {
        name: measure(shared / "models" / NETWORKS[name], arguments.rounds)
        for name in arguments.network or NETWORKS
    }
    print(
        json.dumps(
            {
                "threads": THREADS,
                "instructions": type(usable()[0]).__name__,
                "networks": results,
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
