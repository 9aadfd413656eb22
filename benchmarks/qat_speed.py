"""Time and memory of a training iteration with fake quantization beside float32, in Caffe.

The solvers run in one process on two threads and take turns, so that what else the machine does
hits all; each turn goes the other way round.  A third one is float32 with the gradient of the
images, which Caffe computes in QAT and not in float32: it tells how much of the ratio that is.  An
iteration is ``solver.step(1)``: forward, backward and update.  What counts is the median of the
ratios of neighbouring iterations.  Weights and data are random and stay in memory; BatchNorm has
fixed statistics in all.

Peak memory is taken from processes that train one of the two each; so is what IFMR adds to the
iteration in which it finds all clip bounds.  The script prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List

THREADS = 2
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(THREADS)
os.environ.setdefault("GLOG_minloglevel", "2")

import training_networks as networks  # noqa: E402 (Caffe reads the variables)

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = {"lenet": 300, "squeezenet": 100, "resnet50": 40}
ROUNDS_ELSE = 50
WARM_UP = 2
PROCESSES = 3
"""That train each network for its memory."""
PROFILE_ROUNDS = 3
Times = Dict[str, List[float]]


def in_turn(solvers: Dict[str, Any], rounds: int) -> Times:
    """Return the milliseconds of each iteration, of solvers that take turns."""
    times: Times = {kind: [] for kind in solvers}
    for index in range(rounds):
        order = list(solvers) if index % 2 == 0 else list(reversed(list(solvers)))
        for kind in order:
            start = time.perf_counter()
            solvers[kind].step(1)
            times[kind].append(round((time.perf_counter() - start) * 1000, 3))
    return times


def profile(solver: Any) -> Dict[str, float]:
    """Return the milliseconds of one iteration by type of layer, and of the rest of it.

    Python layers are named by their class.  Layer by layer everything is a little slower than in
    one iteration, so this says where time goes and is not added up against the medians.
    """
    net = solver.net
    layers = list(net.layers)
    names = [getattr(layer, "type", "?") for layer in layers]
    names = [
        type(layer).__name__ if name == "Python" else name for layer, name in zip(layers, names)
    ]
    kinds = [f"{name} {way}" for way in ("forward", "backward") for name in names]
    runs: Dict[str, List[float]] = {kind: [] for kind in kinds}
    for _ in range(PROFILE_ROUNDS):
        spent = dict.fromkeys(runs, 0.0)
        net.clear_param_diffs()
        for index, name in enumerate(names):
            start = time.perf_counter()
            net._forward(index, index)
            spent[f"{name} forward"] += time.perf_counter() - start
        for index, name in reversed(list(enumerate(names))):
            start = time.perf_counter()
            net._backward(index, index)
            spent[f"{name} backward"] += time.perf_counter() - start
        start = time.perf_counter()
        solver.apply_update()
        spent["update"] = time.perf_counter() - start
        for kind, seconds in spent.items():
            runs.setdefault(kind, []).append(seconds * 1000)
    medians = {kind: round(statistics.median(values), 2) for kind, values in runs.items()}
    return dict(sorted(((k, v) for k, v in medians.items() if v > 0), key=lambda kv: -kv[1]))


def train_alone(name: str, kind: str, folder: Path) -> None:
    """Train one network for a few iterations; print what memory it takes and how long they take."""
    network = networks.NETWORKS[name]
    imports = resident_mib()
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here on
    if kind == networks.QAT:
        networks.load_kernels()
    compiler = resident_mib() - imports
    solver = networks.solver(network, kind, folder)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        solver.step(1)
        seconds.append(round(time.perf_counter() - start, 3))
    copies = networks.copied_bytes(solver.net) / 2**20
    found = {
        "imports_mib": imports,
        "training_mib": round(resident_mib("VmHWM") - imports, 1),
        "compiler_mib": round(compiler, 1),
        "quantized_copies_mib": round(copies, 1),
    }
    if kind == networks.QAT:
        found["seconds_that_initialisation_adds"] = initialisation(solver)
    print(json.dumps({**found, "seconds_of_iterations": seconds}))


def resident_mib(field: str = "VmRSS") -> float:
    """Return this process's resident memory, or its peak (``VmHWM``), mapped files included."""
    status = Path("/proc/self/status").read_text().splitlines()
    kib = next(int(line.split()[1]) for line in status if line.startswith(field))
    return round(kib / 1024, 1)


def initialisation(solver: Any) -> float:
    """Return how much longer an iteration is that finds all clip bounds anew.

    Unlike in the very first iteration, nothing else is new in it: Caffe has its memory already.
    """
    extra = []
    for _ in range(3):
        seconds = []
        for forget in (True, False):
            if forget:
                networks.forget_bounds(solver.net)
            start = time.perf_counter()
            solver.step(1)
            seconds.append(time.perf_counter() - start)
        extra.append(seconds[0] - seconds[1])
    return round(statistics.median(extra), 3)


def alone(name: str, folder: Path) -> Dict[str, Any]:
    """Return what each network takes in processes of its own, and the ratios of the peaks.

    Importing Caffe takes 100 to 220 MiB, by chance.  So what training takes beyond that is
    measured, its median over several processes, and the least that imports took is added to all.
    """
    found: Dict[str, Any] = {}
    for kind in (networks.FLOAT32, networks.QAT):
        command = [sys.executable, __file__, "--network", name, "--alone", kind]
        command += ["--folder", str(folder)]
        runs = []
        for _ in range(PROCESSES):
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            runs.append(json.loads(done.stdout.splitlines()[-1]))
        found[kind] = {
            key: statistics.median_low([run[key] for run in runs]) for key in sorted(runs[0])
        }
        found[kind]["raw"] = runs
    imports = min(run["imports_mib"] for kind in found for run in found[kind]["raw"])
    for values in found.values():
        values["peak_mib"] = round(imports + values["training_mib"], 1)
    float32, qat = found[networks.FLOAT32], found[networks.QAT]
    peak, copies, compiler = float32["peak_mib"], qat["quantized_copies_mib"], qat["compiler_mib"]
    return {
        **found,
        "peak_ratio": round(qat["peak_mib"] / peak, 3),
        "peak_ratio_without_compiler": round((qat["peak_mib"] - compiler) / peak, 3),
        "peak_ratio_of_copies_alone": round(1 + copies / peak, 3),
    }


def measure(name: str, models: Path, folder: Path, arguments: argparse.Namespace) -> Dict[str, Any]:
    """Return all measurements of one network."""
    network = networks.NETWORKS[name]
    networks.prepare(network, models, folder)
    result: Dict[str, Any] = {"batch": network.batch, **networks.weight_counts(folder)}
    if not arguments.no_memory:
        result["alone"] = alone(name, folder)
    qat, float32, image_gradient = networks.QAT, networks.FLOAT32, networks.IMAGE_GRADIENT
    kinds = (float32, qat) if arguments.pair else networks.KINDS
    solvers = {kind: networks.solver(network, kind, folder) for kind in kinds}
    in_turn(solvers, WARM_UP)
    times = in_turn(solvers, arguments.rounds or ROUNDS.get(name, ROUNDS_ELSE))
    result["median_ms"] = {kind: round(statistics.median(own), 2) for kind, own in times.items()}
    result.update(paired("paired_ratio", times[qat], times[float32]))
    if image_gradient in times:
        result.update(paired("image_gradient_ratio", times[image_gradient], times[float32]))
        result.update(paired("ratio_to_image_gradient", times[qat], times[image_gradient]))
    result["profile_ms"] = {kind: profile(solver) for kind, solver in solvers.items()}
    result["raw_ms"] = times
    return result


def paired(name: str, own: List[float], others: List[float]) -> Dict[str, Any]:
    """Return the median and the quartiles of the ratios of neighbouring iterations."""
    ratios = [one / other for one, other in zip(own, others)]
    low, middle, high = (round(value, 4) for value in statistics.quantiles(ratios, n=4))
    return {name: middle, f"{name}_quartiles": [low, high]}


def main() -> None:
    """Print the measurement as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=os.environ.get("AMCT_SHARED"))
    parser.add_argument("--network", action="append", choices=list(networks.NETWORKS))
    parser.add_argument("--rounds", type=int, help="pairs of iterations; default: by network")
    parser.add_argument("--pair", action="store_true", help="QAT and plain float32 only")
    parser.add_argument("--no-memory", action="store_true", help="time only")
    parser.add_argument("--alone", choices=(networks.FLOAT32, networks.QAT), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        train_alone(arguments.network[0], arguments.alone, arguments.folder)
        return
    models = Path(arguments.shared or ROOT.parent / "shared").resolve() / "models"
    results = {}
    for name in arguments.network or networks.NETWORKS:
        print(f"{name} ...", file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder:
            results[name] = measure(name, models, Path(folder), arguments)
    print(json.dumps({"threads": THREADS, "networks": results}, indent=2))


if __name__ == "__main__":
    main()
