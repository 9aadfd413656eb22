"""Runs every measurement, each in a process of its own, and keeps what it prints.

Writes ``benchmarks/results/<measurement>.json``: what the measurement printed, with the commit, the
machine and the versions it ran on.  Without the real models and data it stops and says so.

``float_parity``, ``exactness``, ``qat_speed``, ``ptq_accuracy``, ``sensitivity`` and ``evaluation``
run once per network, and what one network gave is kept at once; ``exactness:lenet`` measures one
and leaves the others in the file as they are.  ``ptq_speed`` does the same per calibrator.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Sequence

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks/results"
MEASUREMENTS = (
    "start_up",
    "lenet_mnist",
    "device_modes",
    "resnet20_cifar",
    "resnet20_lsq",
    "resnet20_lsq_least_error",
    "real_networks",
    "large_networks",
    "simulation_speed",
    "simulation_memory",
    "float_parity",
    "exactness",
    "qat_speed",
    "mpi_scaling",
    "supervised_training",
    "auto_quantization",
    "ptq_accuracy",
    "ptq_speed",
    "sensitivity",
    "evaluation",
    "report",
)
NETWORKS = ("lenet", "resnet20", "squeezenet", "open_nsfw", "rfb320")
TRAINED = ("lenet", "resnet20", "squeezenet", "resnet50", "mobilenet_v1")
CLASSIFIERS = ("lenet", "resnet20", "mobilenet_v2_cifar", "squeezenet")
RANKED = ("resnet20", "squeezenet")
CALIBRATORS = ("min_max", "hfmg", "percentile", "mse", "kl", "ifmr")
PART_BY_PART = {
    "float_parity": NETWORKS,
    "exactness": NETWORKS,
    "qat_speed": TRAINED,
    "ptq_accuracy": CLASSIFIERS,
    "sensitivity": RANKED,
    "ptq_speed": CALIBRATORS,
    "evaluation": CLASSIFIERS,
}
"""The parts of those measurements that are kept part by part."""
LSQ = ("resnet20_cifar", "--algorithms", "lsq", "--begin")
OPTIONS = {
    "resnet20_lsq": (*LSQ, "paper"),
    "resnet20_lsq_least_error": (*LSQ, "least_error"),
}
"""Script and options of measurements that share a script."""
PARTS = {"ptq_speed": "calibrator"}
"""What a part is, where it is not a network."""

DISTRIBUTIONS = ("numpy", "protobuf", "kendryte-caffe", "onnxruntime", "numba")


def git(*arguments: str) -> str:
    """Return what git prints of this checkout; nothing where it is none."""
    command = ["git", "-C", str(ROOT), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip()


def commit() -> str:
    """Return the commit, with ``-dirty`` where files differ from it other than kept results."""
    name = git("describe", "--always") or "unknown"
    changed = git("status", "--porcelain", "--", ".", ":(exclude)benchmarks/results")
    return f"{name}-dirty" if changed else name


def surroundings() -> dict[str, object]:
    """Return what a reader must know to judge a number."""
    return {
        "commit": commit(),
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        **{name: importlib.metadata.version(name) for name in DISTRIBUTIONS},
    }


def measured(script: str, *options: str) -> dict[str, object] | None:
    """Run a script; return what it printed and on what it ran, or None where it failed."""
    measured_on = surroundings()  # before it runs: the checkout may change in the meantime
    start = time.perf_counter()
    command = [sys.executable, str(ROOT / "benchmarks" / f"{script}.py"), *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        words = " ".join((script, *options))
        print(f"{words} failed with exit status {done.returncode}", file=sys.stderr)
        return None
    return {
        "measured_on": measured_on,
        "seconds": round(time.perf_counter() - start, 1),
        "results": json.loads(done.stdout),
    }


def measure_part_by_part(name: str, parts: Sequence[str]) -> bool:
    """Measure part by part and keep each as soon as it is there; return whether all were."""
    path, kind = RESULTS / f"{name}.json", PARTS.get(name, "network")
    complete = True
    for part in parts:
        found = measured(name, f"--{kind}", part)
        if found is None:
            complete = False
            continue
        kept = json.loads(path.read_text()) if path.exists() else {}
        found["results"] = found["results"][f"{kind}s"][part]  # type: ignore[index]
        kept[part] = found
        ordered = {key: kept[key] for key in PART_BY_PART[name] if key in kept}
        path.write_text(json.dumps(ordered, indent=2) + "\n")
    return complete


def main() -> int:
    """Measure all, or those named on the command line; return the exit status."""
    names = sys.argv[1:] or MEASUREMENTS
    RESULTS.mkdir(exist_ok=True)
    failed = 0
    for name in names:
        print(f"{name} ...", file=sys.stderr)
        name, _, part = name.partition(":")
        if name in PART_BY_PART:
            parts = (part,) if part else PART_BY_PART[name]
            failed |= not measure_part_by_part(name, parts)
            continue
        kept = measured(*OPTIONS.get(name, (name,)))
        if kept is None:
            failed = 1
            continue
        (RESULTS / f"{name}.json").write_text(json.dumps(kept, indent=2) + "\n")
        print(json.dumps(kept["results"], indent=2))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
