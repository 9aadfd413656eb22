"""Time of config, insert and save on residual networks of up to 1,000 layers, and memory of save.

Every step runs in a process of its own.  Between insert and save the modified model is really
trained in Caffe, for as many iterations as ``batch_num`` says, which takes no part in the times.
All layers count: data, loss and in-place layers like any other.  It prints one JSON object.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

LAYERS = (125, 250, 500, 1000)
SECONDS_LIMIT = 5.0
"""What we promise for each step on 1,000 layers, start of Python included."""
MEMORY_LIMIT = 2.5
"""What we promise of save: memory, in bytes per byte of float32 weights."""
LARGE_NETWORKS = {"several_layers": (1024, 6), "one_layer": (3600, 1)}
"""Channels and number of convolutions; about 200 MB of weights, over seven layers or in one."""
BATCH_NUM = 1

MODEL, WEIGHTS = "net.prototxt", "net.caffemodel"
CONFIG, RECORD, SAVED = "tmp/config.json", "tmp/record.txt", "result/model"
MODIFIED = ("tmp/modified_model.prototxt", "tmp/modified_model.caffemodel")
SNAPSHOT = "tmp/solver_iter_1.caffemodel"
SOLVER = """\
net: "tmp/modified_model.prototxt"
test_iter: 1
test_interval: 1
test_initialization: false
base_lr: 1e-6
lr_policy: "fixed"
max_iter: 1
snapshot: 1
snapshot_prefix: "tmp/solver"
random_seed: 1
solver_mode: CPU
"""


def config() -> None:
    """Write the config."""
    import amct_caffe as amct

    amct.create_quant_retrain_config(CONFIG, MODEL, WEIGHTS)


def insert() -> None:
    """Insert fake quantization."""
    import amct_caffe as amct

    amct.create_quant_retrain_model(MODEL, WEIGHTS, CONFIG, *MODIFIED, RECORD)


def train() -> None:
    """Train for one iteration and run the TEST pass, on random images."""
    import caffe
    import numpy as np

    generator = np.random.default_rng(1)
    Path("tmp/solver.prototxt").write_text(SOLVER)
    solver = caffe.get_solver("tmp/solver.prototxt")
    solver.net.copy_from(MODIFIED[1])
    for net in (solver.net, solver.test_nets[0]):
        net.blobs["data"].data[...] = generator.uniform(0, 1, net.blobs["data"].data.shape)
        net.blobs["label"].data[...] = 0
    solver.solve()


def save() -> None:
    """Save the fake-quant and the deployable model."""
    import amct_caffe as amct

    files = (MODIFIED[0], SNAPSHOT, "Both", SAVED, RECORD, CONFIG)
    amct.save_quant_retrain_model(*files, deploy_backend="ascend")


STEPS: Dict[str, Callable[[], None]] = {
    "config": config,
    "insert": insert,
    "train": train,
    "save": save,
}
MEASURED = ("config", "insert", "save")


def import_all() -> None:
    """Import what the steps use, so that the memory of modules is not counted as theirs."""
    for module in ("amct_caffe.frontend", "amct_core.workflow", "ascend_backend.writer"):
        importlib.import_module(module)


def peak_memory() -> int:
    """Return the most memory that this process has had so far, in bytes; mapped files count.

    Linux's VmHWM, because ``ru_maxrss`` of a new process begins at the peak of its parent.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    (peak,) = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(peak) * 1024


def run_step(name: str) -> None:
    """Run one step in this process and print its seconds and the growth of its peak memory."""
    import_all()
    before = peak_memory()
    start = time.perf_counter()
    STEPS[name]()
    seconds = time.perf_counter() - start
    print(json.dumps({"call": seconds, "memory": peak_memory() - before}))


def step(name: str, folder: str) -> Dict[str, float]:
    """Run one step in a process of its own; return what it measured, and the seconds in all."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(Path(__file__).resolve()), "--step", name],
        cwd=folder,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    seconds = time.perf_counter() - start
    return {"process": seconds, **json.loads(done.stdout.splitlines()[-1])}


def prepare_save(folder: str) -> None:
    """Bring a network in ``folder`` to where it can be saved."""
    step("config", folder)
    path = Path(folder, CONFIG)
    path.write_text(json.dumps({**json.loads(path.read_text()), "batch_num": BATCH_NUM}))
    step("insert", folder)
    step("train", folder)


def measure_time(layers: int, repeat: int) -> Dict[str, Any]:
    """Return the seconds of each step on a residual network, medians of ``repeat`` runs."""
    from generated_networks import residual_network

    network = residual_network(layers)
    with tempfile.TemporaryDirectory() as folder:
        network.write(str(Path(folder, MODEL)), str(Path(folder, WEIGHTS)))
        prepare_save(folder)
        runs: Dict[str, List[Dict[str, float]]] = {name: [] for name in MEASURED}
        for _ in range(repeat):
            # Config first would undo the batch_num that the snapshot was trained with.
            for name in reversed(MEASURED):
                runs[name].append(step(name, folder))
            prepare_save(folder)
    steps = {name: summary(found) for name, found in runs.items()}
    return {"layers": layers, "weight_bytes": network.weight_bytes, **steps}


def summary(runs: List[Dict[str, float]]) -> Dict[str, float]:
    """Return the medians: of the whole process, and of the call alone."""
    return {
        "seconds": round(statistics.median(run["process"] for run in runs), 3),
        "seconds_of_call": round(statistics.median(run["call"] for run in runs), 3),
    }


def measure_memory(channels: int, depth: int) -> Dict[str, Any]:
    """Return the growth of save's peak memory, against the bytes of the float32 weights."""
    from generated_networks import large_network

    network = large_network(channels, depth)
    with tempfile.TemporaryDirectory() as folder:
        network.write(str(Path(folder, MODEL)), str(Path(folder, WEIGHTS)))
        prepare_save(folder)
        found = step("save", folder)
    return {
        "weight_bytes": network.weight_bytes,
        "peak_growth_bytes": int(found["memory"]),
        "ratio": round(found["memory"] / network.weight_bytes, 2),
        "limit": MEMORY_LIMIT,
        "seconds": round(found["process"], 2),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, action="append", help="default: 125 to 1,000")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", choices=("time", "memory"))
    parser.add_argument("--step", choices=STEPS, help="run one step in the working folder")
    arguments = parser.parse_args()
    if arguments.step:
        run_step(arguments.step)
        return
    results: Dict[str, Any] = {"batch_num": BATCH_NUM}
    if arguments.only != "memory":
        results["seconds_limit"] = SECONDS_LIMIT
        sizes = arguments.layers or LAYERS
        results["time"] = [measure_time(layers, arguments.repeat) for layers in sizes]
    if arguments.only != "time":
        results["memory_of_save"] = {
            name: measure_memory(*sizes) for name, sizes in LARGE_NETWORKS.items()
        }
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
