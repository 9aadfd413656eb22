"""``python -m tests.fuzz``: reads mutated files, and prints executions and seconds per target.

It stops with status 1 at the first file that ends in anything but an AmctError or success, takes
more than a second of processor time, or more than 1 GiB.  The file is kept, and told how to get it
again.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import warnings
from pathlib import Path
from typing import Dict, List

import attrs

from tests.fuzz.running import Failure, Result, fuzz, limit_memory, warm_up
from tests.fuzz.targets import Target, chosen, targets


def main() -> int:
    """Run; return the exit status."""
    options = _options()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    results: List[Result] = []
    failures = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = chosen(options.target)
        for target in found:
            warm_up(target, folder)
        limit_memory()
        share = None if options.seconds is None else options.seconds / len(found)
        for target in found:
            result, seen = _run(target, folder, options, share)
            results.append(result)
            failures += len(seen)
            if seen and not options.keep_going:
                break
    if options.output is not None:
        _write(options, results)
    return 1 if failures else 0


def _run(
    target: Target, folder: Path, options: argparse.Namespace, seconds: float | None
) -> tuple[Result, Dict[str, Failure]]:
    seen: Dict[str, Failure] = {}
    result = Result(target.name)
    runs = fuzz(target, folder, options.seed, options.executions, seconds, options.start)
    for result in runs:
        failure = result.failure
        if failure is not None and failure.where not in seen:
            seen[failure.where] = failure
            _report(target, failure, options)
        if failure is not None and not options.keep_going:
            break
    print(
        f"{target.name:14} {result.executions:9} executions {result.seconds:8.1f} s "
        f"{result.accepted:8} accepted, slowest {result.slowest:.3f} s, "
        f"{result.peak / 2**20:.0f} MiB more, {len(seen)} failures, inputs {result.digest}",
        flush=True,
    )
    return result, seen


def _report(target: Target, failure: Failure, options: argparse.Namespace) -> None:
    folder = Path(options.keep)
    folder.mkdir(parents=True, exist_ok=True)
    for index, data in enumerate(failure.files):
        (folder / f"{target.name}_{failure.number}_{index}").write_bytes(data)
    print(
        f"{target.name}: execution {failure.number}: {failure.where}\n{failure.reason}"
        f"Its files are in {folder}. Again: --target {target.name} --seed {options.seed} "
        f"--start {failure.number} --executions 1\n",
        flush=True,
    )


def _write(options: argparse.Namespace, results: List[Result]) -> None:
    """Add the results to those that the file has of the same seed."""
    path = Path(options.output)
    kept = json.loads(path.read_text()) if path.exists() else {"seed": options.seed, "runs": []}
    if kept["seed"] != options.seed:
        kept = {"seed": options.seed, "runs": []}
    kept["runs"] += [
        attrs.asdict(each, filter=lambda field, _: field.name != "failure") for each in results
    ]
    path.write_text(json.dumps(kept, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--target", action="append", choices=list(targets()), help="default: all")
    parser.add_argument("--executions", type=int, help="of each target; default: no limit")
    parser.add_argument("--seconds", type=float, help="of all targets together; default: 60")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations; default: 0")
    parser.add_argument("--start", type=int, default=0, help="number of the first execution")
    parser.add_argument("--keep", default="fuzz_failures", help="folder for files that fail")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at a failure")
    parser.add_argument("--output", help="a JSON file; gets what was done")
    options = parser.parse_args()
    if options.executions is None and options.seconds is None:
        options.seconds = 60.0
    return options


if __name__ == "__main__":
    raise SystemExit(main())
