"""``python -m tools.mutants``: samples changes by seed, and runs the tests of their own area.

Its tests are the files of its area that name the changed module, and, where these do not notice,
all other files of the area.  Each mutant runs in a child of this process, which has
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
import time
import warnings
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from tools.mutants.areas import AREAS, Area
from tools.mutants.changes import Change, changes_of, modules

ROOT = Path(__file__).resolve().parents[2]
_LIBRARIES = ("numpy", "pytest", "hypothesis", "google.protobuf", "numba", "click", "rich")
_LEAST_SECONDS = 30.0
_PROFILE = "mutants"
Outcome = Tuple[Area, Change, str]
Limits = Dict[Tuple[str, ...], float]

_PASSED, _KILLED, _SLOW = "survived", "killed", "killed by time"


def main() -> int:
    """Run; return the exit status."""
    options = _options()
    chosen = [area for area in AREAS if options.area in (None, area.name)]
    sample = _sample(chosen, options.count, options.seed)
    if options.again is not None:
        sample = _survivors(chosen, Path(options.again))
    for library in _LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(library)
    limits: Limits = {}
    begin = time.monotonic()
    outcomes: List[Outcome] = []
    for area, change in sample:
        if options.seconds is not None and time.monotonic() - begin > options.seconds:
            break
        outcome = _judged(change, area, limits)
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


def _survivors(areas: List[Area], report: Path) -> List[Tuple[Area, Change]]:
    """Return the changes that nobody noticed in an earlier run, as far as they are still there."""
    names = json.loads(report.read_text())["survivors"]
    return [
        (area, change)
        for area in areas
        for path in modules(ROOT, area.modules)
        for change in changes_of(ROOT, path)
        if str(change) in names
    ]


def _judged(change: Change, area: Area, limits: Limits) -> str:
    """Return what becomes of a mutant; ``limits`` keeps the seconds that files may take.

    Raises:
        SystemExit: tests fail without a change.
    """
    for files in _files(change, area):
        if files not in limits:
            start = time.monotonic()
            if _run(None, files, None) != _PASSED:
                raise SystemExit(f"without a change there are failures in {files}")
            limits[files] = max(_LEAST_SECONDS, 4 * (time.monotonic() - start))
        outcome = _run(change, files, limits[files])
        if outcome != _PASSED:
            return outcome
    return _PASSED


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
            status = int(pytest.main(arguments))
    return 0 if status == pytest.ExitCode.NO_TESTS_COLLECTED else status


def _files(change: Change, area: Area) -> List[Tuple[str, ...]]:
    """Return the files of tests: those that name the changed module, then the others, if any."""
    files = [
        path
        for each in (ROOT / name for name in area.tests)
        for path in (sorted(each.rglob("test_*.py")) if each.is_dir() else [each])
    ]
    stem = Path(change.path).stem
    naming = [path for path in files if re.search(rf"\b{stem}\b", path.read_text("utf-8"))]
    naming.sort(key=lambda path: stem not in path.stem)
    others = [path for path in files if path not in naming]
    return [tuple(map(str, each)) for each in (naming, others) if each]


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
        if options.again is not None:
            content = _revised(json.loads(Path(options.again).read_text()), outcomes)
        Path(options.output).write_text(json.dumps(content, indent=1) + "\n")


def _revised(report: Dict[str, Any], outcomes: List[Outcome]) -> Dict[str, Any]:
    """Return an earlier report with what tests have noticed since.

    Where a line has several changes that read alike, all of them have to be noticed.
    """
    alive = {str(change) for _, change, outcome in outcomes if outcome == _PASSED}
    noticed = {str(change) for _, change, _ in outcomes} - alive
    return {
        **report,
        "survivors": [each for each in report["survivors"] if each not in noticed],
        "noticed_since": sorted({*report.get("noticed_since", ()), *noticed}),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.mutants", description=__doc__)
    parser.add_argument("--count", type=int, default=60, help="mutants; default: 60")
    parser.add_argument("--seconds", type=float, help="begin no mutant after these; default: none")
    parser.add_argument("--seed", type=int, default=0, help="of the sample; default: 0")
    parser.add_argument("--area", choices=[area.name for area in AREAS], help="default: all")
    parser.add_argument(
        "--again", metavar="FILE", help="only the survivors in such a file; revises it"
    )
    parser.add_argument("--output", help="a JSON file of what came out")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
