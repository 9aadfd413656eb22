"""Builds the distributions into ``dist``, installs them into empty environments, and tries them."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tools.distributions import trial
from tools.distributions.building import build_all
from tools.distributions.table import ROOT

FOLDER = ROOT / "dist"


def main(arguments: list[str]) -> int:
    """Build, and try what was built; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.distributions", description=__doc__)
    parser.add_argument("--build-only", action="store_true", help="try nothing")
    options = parser.parse_args(arguments)
    shutil.rmtree(FOLDER, ignore_errors=True)
    for built in build_all(FOLDER):
        for path in (built.sdist, built.wheel):
            say(f"built {path.relative_to(ROOT)}")
    if options.build_only:
        return 0
    with tempfile.TemporaryDirectory(prefix="amct_dist_") as folder:
        return try_all(Path(folder))


def try_all(folder: Path) -> int:
    """Try the built files on each CPython; return the exit status."""
    try:
        first = trial.with_caffe(FOLDER, folder / trial.WITH_CAFFE)
        say(f"CPython {trial.WITH_CAFFE}: the demonstration is trained, saved and verified")
        for version in trial.WITHOUT_CAFFE:
            trial.without_caffe(FOLDER, folder / version, version, first.work / "demo")
            say(f"CPython {version}: what it saved is simulated, compared, exported and reported")
    except trial.TrialError as error:
        say(str(error))
        return 1
    return 0


def say(words: str) -> None:
    """Tell something now."""
    print(words, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
