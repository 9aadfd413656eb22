"""``python -m tools.mutants``: samples changes by seed, and runs the tests of their own area.

Its tests are the files of its area that name the changed module; where none does, or with
``--whole-area``, all files of the area.  Each mutant runs in a child of this process, which has
imported NumPy, pytest and other libraries, but nothing of the product: the changed module is
compiled from memory, and no file changes.  A mutant is killed if a test fails, or if the tests take
four times as long as without a change.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.machinery
import io
import json
import os
import random
import re
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from tools.mutants.areas import AREAS, Area
from tools.mutants.changes import Change, changes_of, modules

ROOT = Path(__file__).resolve().parents[2]
_LIBRARIES = ("numpy", "pytest", "hypothesis", "google.protobuf", "numba", "click", "rich")
_LEAST_SECONDS = 30.0
_PROFILE = "mutants"
Outcome = Tuple[Area, Change, str]

_PASSED, _KILLED, _SLOW = "survived", "killed", "killed by time"


def main() -> int:
    """Run; return the exit status: 0 unless the tests fail without a change."""
    options = _options()
    chosen = [area for area in AREAS if options.area in (None, area.name)]
    sample = _sample(chosen, options.count, options.seed)
    for library in _LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(library)
    limits: Dict[Tuple[str, ...], float] = {}
    begin = time.monotonic()
    outcomes: List[Outcome] = []
    for area, change in sample:
        if options.seconds is not None and time.monotonic() - begin > options.seconds:
            break
        files = _files(change, area, options.whole_area)
        if files not in limits:
            start = time.monotonic()
            if _run(None, files, None) != _PASSED:
                print(f"without a change there are failures in {files}", file=sys.stderr)
                return 1
            limits[files] = max(_LEAST_SECONDS, 4 * (time.monotonic() - start))
        outcome = _run(change, files, limits[files])
        outcomes.append((area, change, outcome))
        print(f"{outcome:14} {area.name:9} {change}", flush=True)
    _report(outcomes, options, time.monotonic() - begin)
    return 0


def _sample(areas: List[Area], count: int, seed: int) -> List[Tuple[Area, Change]]:
    """Return ``count`` changes, an equal share of each area, in random order."""
    found = []
    for area in areas:
        every = [each for path in modules(ROOT, area.modules) for each in changes_of(ROOT, path)]
        source = random.Random(f"{seed}/{area.name}")
        share = min(len(every), -(-count // len(areas)))
        found += [(area, change) for change in source.sample(every, share)]
    random.Random(seed).shuffle(found)
    return found[:count]


def _run(change: Optional[Change], files: Tuple[str, ...], limit: Optional[float]) -> str:
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os._exit(_tests(files, change))
    begin = time.monotonic()
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return _PASSED if status == 0 else _KILLED
        if limit is not None and time.monotonic() - begin > limit:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return _SLOW
        time.sleep(0.02)


def _tests(files: Tuple[str, ...], change: Optional[Change]) -> int:
    """Run the tests of ``files`` in this process; 0 if they all pass."""
    import pytest
    from hypothesis import Phase, settings

    os.chdir(ROOT)
    # That an example fails is enough; to find the smallest takes longer than all else.
    phases = (Phase.explicit, Phase.generate)
    settings.register_profile(_PROFILE, deadline=None, database=None, phases=phases)
    if change is not None:
        _install(change)
    warnings.simplefilter("ignore")
    arguments = [*files, "-x", "-q", "-p", "no:xdist", "-m", "not slow"]
    arguments.append(f"--hypothesis-profile={_PROFILE}")
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return int(pytest.main(arguments))


def _files(change: Change, area: Area, whole: bool) -> Tuple[str, ...]:
    """Return the files of tests, those that are called like the changed module first."""
    files = [
        path
        for each in (ROOT / name for name in area.tests)
        for path in (sorted(each.rglob("test_*.py")) if each.is_dir() else [each])
    ]
    stem = Path(change.path).stem
    naming = [path for path in files if re.search(rf"\b{stem}\b", path.read_text("utf-8"))]
    asked = files if whole or not naming else naming
    return tuple(str(path) for path in sorted(asked, key=lambda path: stem not in path.stem))


def _install(change: Change) -> None:
    """Let the changed module be compiled from its changed source."""
    changed = str(ROOT / change.path)
    original = importlib.machinery.SourceFileLoader.get_code

    def get_code(loader: importlib.machinery.SourceFileLoader, name: str) -> object:
        path = loader.get_filename(name)
        if os.path.realpath(path) != changed:
            return original(loader, name)
        return compile(change.applied(Path(changed).read_bytes()), path, "exec", dont_inherit=True)

    importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[assignment]


def _report(
    outcomes: List[Tuple[Area, Change, str]], options: argparse.Namespace, seconds: float
) -> None:
    areas: Dict[str, Dict[str, int]] = {}
    for area, _, outcome in outcomes:
        counts = areas.setdefault(area.name, {"mutants": 0, "killed": 0})
        counts["mutants"] += 1
        counts["killed"] += outcome != _PASSED
    survivors = [str(change) for _, change, outcome in outcomes if outcome == _PASSED]
    killed = len(outcomes) - len(survivors)
    for name, counts in areas.items():
        print(f"{name:9} {counts['killed']} of {counts['mutants']} killed")
    print(f"{killed} of {len(outcomes)} mutants killed in {seconds:.0f} s")
    if options.output is not None:
        content = {
            "seed": options.seed,
            "mutants": len(outcomes),
            "killed": killed,
            "seconds": round(seconds, 1),
            "areas": areas,
            "survivors": sorted(survivors),
        }
        Path(options.output).write_text(json.dumps(content, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.mutants", description=__doc__)
    parser.add_argument("--count", type=int, default=60, help="mutants; default: 60")
    parser.add_argument("--seconds", type=float, help="begin no mutant after these; default: none")
    parser.add_argument("--seed", type=int, default=0, help="of the sample; default: 0")
    parser.add_argument("--area", choices=[area.name for area in AREAS], help="default: all")
    parser.add_argument("--whole-area", action="store_true", help="run all tests of the area")
    parser.add_argument("--output", help="a JSON file of what came out")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
