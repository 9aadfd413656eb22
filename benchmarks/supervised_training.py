"""What supervision costs training: iterations of one network with it and without, in turns.

The supervised solver has the callbacks of ``amct qat train``: losses read and looked at, the
number of the iteration left for the process that waits, a signal asked for, and once per block of
iterations a line of the log and one of metrics with all clip bounds.  The other one has none.  Both
run in the same fork, whose Caffe logs into a file.  Beside that, it times a fork that does nothing
and is waited for, once per command.

Two clocks tell each block's time: that on the wall, which others on the machine slow down, and that
of the processor, which they hardly touch.  The intervals of the median ratios are those of the
order statistics, which hold whatever the times are distributed like.  It prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

from amct_core.supervision.process import supervise

BATCH, ITERATIONS = 64, 10
LIMIT = 1.02
"""What we promise: the upper end of the interval lies below."""


def interval_of_median(values: List[float], confidence: float = 0.95) -> Tuple[float, float]:
    """Return the order statistics that enclose the median with at least that confidence."""
    count = len(values)
    below, rank = 0.0, 0
    while below + math.comb(count, rank) / 2**count <= (1 - confidence) / 2:
        below += math.comb(count, rank) / 2**count
        rank += 1
    if rank == 0:
        raise SystemExit(f"{count} rounds are too few for an interval")
    ordered = sorted(values)
    return ordered[rank - 1], ordered[count - rank]


LENET = """
name: "LeNet"
layer {{ name: "images" type: "Python" top: "data" top: "label"
  python_param {{ module: "amct_caffe.layers" layer: "ArrayData"
    param_str: '{{"file": "images.npz", "arrays": ["data", "label"], "batch_size": {batch}}}' }} }}
layer {{ name: "conv1" type: "Convolution" bottom: "data" top: "conv1" convolution_param {{
  num_output: 20 kernel_size: 5 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param {{ pool: MAX kernel_size: 2 stride: 2 }} }}
layer {{ name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2" convolution_param {{
  num_output: 50 kernel_size: 5 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "pool2" type: "Pooling" bottom: "conv2" top: "pool2"
  pooling_param {{ pool: MAX kernel_size: 2 stride: 2 }} }}
layer {{ name: "ip1" type: "InnerProduct" bottom: "pool2" top: "ip1" inner_product_param {{
  num_output: 500 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }}
layer {{ name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2" inner_product_param {{
  num_output: 10 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }}
"""
"""Caffe's example for MNIST (examples/mnist/lenet_train_test.prototxt), fed with noise."""


def prepare(folder: Path) -> None:
    """Write LeNet with fake quantization, and a solver, into ``folder``."""
    import numpy as np

    from amct_caffe.runtime.pycaffe import caffe
    from amct_core import workflow

    os.chdir(folder)
    random = np.random.default_rng(0)
    images = random.uniform(0, 1, (4 * BATCH, 1, 28, 28)).astype(np.float32)
    labels = random.integers(0, 10, 4 * BATCH).astype(np.float32)
    np.savez("images.npz", data=images, label=labels)
    Path("net.prototxt").write_text(LENET.format(batch=BATCH))
    caffe.Net("net.prototxt", caffe.TRAIN).save("net.caffemodel")
    workflow.create_config("net.prototxt", "net.caffemodel", "config.json")
    modified = ("modified.prototxt", "modified.caffemodel")
    workflow.insert("net.prototxt", "net.caffemodel", "config.json", *modified, "record.txt")
    Path("solver.prototxt").write_text(
        f'net: "modified.prototxt" base_lr: 1e-5 lr_policy: "fixed" max_iter: 1000000 '
        f'display: {ITERATIONS} snapshot_prefix: "s" random_seed: 1 snapshot_after_train: false\n'
    )


def in_turns(steps: Dict[str, Callable[[], Any]], rounds: int) -> Dict[str, Dict[str, List[float]]]:
    """Return the milliseconds of each step in each round, by clock and step."""
    clocks = {"wall": time.perf_counter, "processor": time.process_time}
    found: Dict[str, Dict[str, List[float]]] = {
        clock: {name: [] for name in steps} for clock in clocks
    }
    names = list(steps)
    for name in names:
        steps[name]()  # the first batch initialises the bounds
    for index in range(rounds):
        for name in names if index % 2 else reversed(names):
            start = {clock: read() for clock, read in clocks.items()}
            steps[name]()
            for clock, read in clocks.items():
                found[clock][name].append(1000 * (read() - start[clock]))
    return found


def times_of_iterations(rounds: int) -> Dict[str, Dict[str, List[float]]]:
    """Return the times of so many blocks of iterations, with supervision and without."""
    from amct_caffe.model.formats.prototxt import document as documents
    from amct_caffe.model.formats.prototxt import solver as solvers
    from amct_caffe.runtime.live_view import LiveView
    from amct_caffe.runtime.metrics import Metrics
    from amct_caffe.runtime.training import load_solver
    from amct_caffe.runtime.training_run import TrainingRun

    files = ("solver.prototxt", "modified.caffemodel", None)
    settings = solvers.read(files[0])
    layers = documents.read("modified.prototxt").layers
    quantizers = [each.name for each in layers if each.name.endswith("_activation_qat")]
    supervised, plain = load_solver(*files), load_solver(*files)
    view = LiveView(supervised, settings, metrics=Metrics("m.jsonl", quantizers))
    found: List[Any] = []
    steps = {
        "supervised": lambda: supervised.step(ITERATIONS),
        "plain": lambda: plain.step(ITERATIONS),
    }
    run = TrainingRun(supervised, settings, view, writes=False)
    run.run(lambda: found.append(in_turns(steps, rounds)))
    times: Dict[str, Dict[str, List[float]]] = found[0]
    return times


def described(times: Dict[str, List[float]]) -> Dict[str, Any]:
    """Return what is reported of one clock."""
    ratios = [a / b for a, b in zip(times["supervised"], times["plain"])]
    low, high = interval_of_median(ratios)
    return {
        "milliseconds_per_iteration": {
            name: round(statistics.median(own) / ITERATIONS, 4) for name, own in times.items()
        },
        "paired_median_ratio": round(statistics.median(ratios), 4),
        "interval_95": [round(low, 4), round(high, 4)],
        "holds": high < LIMIT,
    }


def measure(rounds: int) -> None:
    """Print the result; called in the fork."""
    from amct_core.supervision.watch import current

    with tempfile.TemporaryDirectory() as folder:
        # Lines of the log go to a file, as beside a bar.
        os.environ.update(AMCT_LOG_DIR=folder, AMCT_LOG_LEVEL="ERROR")
        before = os.getcwd()
        prepare(Path(folder))
        current().keep_log("caffe.log")
        times = times_of_iterations(rounds)
        os.chdir(before)
    result = {
        "network": "LeNet",
        "batch": BATCH,
        "rounds": rounds,
        "iterations_per_round": ITERATIONS,
        "limit": LIMIT,
        "load_average": os.getloadavg()[0],
        **{clock: described(own) for clock, own in times.items()},
    }
    print(json.dumps(result), flush=True)


def milliseconds_of_fork(repeat: int) -> float:
    """Return the median time of a fork that ends at once."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        if supervise() is None:
            os._exit(0)
        times.append(1000 * (time.perf_counter() - start))
    return round(statistics.median(times), 2)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=220)
    arguments = parser.parse_args()
    forks = milliseconds_of_fork(21)
    reading, writing = os.pipe()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    ending = supervise()
    if ending is None:
        os.dup2(writing, 1)
        measure(arguments.rounds)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        text = stream.read()
    if ending.status != 0:
        raise SystemExit(ending.log or f"the measurement ended with {ending.status}")
    print(json.dumps({**json.loads(text), "milliseconds_of_fork": forks}, indent=2))


if __name__ == "__main__":
    main()
