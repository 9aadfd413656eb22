"""Runs every measurement, each in a process of its own, and keeps what it prints.

Writes ``benchmarks/results/<measurement>.json``: what the measurement printed, with the commit, the
machine and the versions it ran on.  Without the real models and data it stops and says so.
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

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks/results"
MEASUREMENTS = (
    "start_up",
    "lenet_mnist",
    "device_modes",
    "resnet20_cifar",
    "real_networks",
    "large_networks",
    "simulation_speed",
)
DISTRIBUTIONS = ("numpy", "protobuf", "kendryte-caffe")


def surroundings() -> dict[str, object]:
    """Return what a reader must know to judge a number."""
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "commit": commit.stdout.strip() or "unknown",
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        **{name: importlib.metadata.version(name) for name in DISTRIBUTIONS},
    }


def main() -> int:
    """Measure all, or those named on the command line; return the exit status."""
    names = sys.argv[1:] or MEASUREMENTS
    RESULTS.mkdir(exist_ok=True)
    failed = 0
    for name in names:
        print(f"{name} ...", file=sys.stderr)
        start = time.perf_counter()
        script = str(ROOT / "benchmarks" / f"{name}.py")
        done = subprocess.run([sys.executable, script], stdout=subprocess.PIPE, text=True)
        if done.returncode:
            print(f"{name} failed with exit status {done.returncode}", file=sys.stderr)
            failed = 1
            continue
        kept = {
            "measured_on": surroundings(),
            "seconds": round(time.perf_counter() - start, 1),
            "results": json.loads(done.stdout),
        }
        (RESULTS / f"{name}.json").write_text(json.dumps(kept, indent=2) + "\n")
        print(json.dumps(kept["results"], indent=2))
    return failed


if __name__ == "__main__":
    sys.exit(main())
