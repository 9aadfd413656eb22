"""Seconds to import ``amct_caffe`` and to run ``amct --help``, each in processes of their own.

The first of each is not counted: it may write byte code.  It prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import amct_caffe": ["-c", "import amct_caffe"],
    "amct --help": ["-m", "amct_core", "--help"],
}
LIMITS = {"import amct_caffe": 0.4, "amct --help": 0.3}
"""What we promise, in seconds."""


def seconds(arguments: list[str]) -> float:
    """Return how long one process takes."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Measure in turns, so that a busy moment hits every command alike, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=11)
    repeat = parser.parse_args().repeat
    for arguments in COMMANDS.values():
        seconds(arguments)
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(repeat):
        for name, arguments in COMMANDS.items():
            times[name].append(seconds(arguments))
    results = {
        name: {
            "minimum": round(min(values), 3),
            "median": round(statistics.median(values), 3),
            "maximum": round(max(values), 3),
            "limit": LIMITS.get(name),
        }
        for name, values in times.items()
    }
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
