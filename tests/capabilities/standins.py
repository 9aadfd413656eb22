"""Runs commands in a Caffe that lacks something."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

STANDIN = Path(__file__).parent / "standin"


def run_lacking(
    folder: Path, lacks: str, *arguments: str, has: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run Python with ``arguments`` in ``folder``, with a Caffe that lacks something.

    Args:
        folder: current folder.
        lacks: names of capabilities and layer types, separated by commas; empty: the Caffe that is
            installed.
        arguments: for Python.
        has: what it can do although the installed one may not.
    """
    path = os.pathsep.join(filter(None, [str(STANDIN), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "STANDIN_LACKS": lacks, "STANDIN_HAS": has}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def amct_lacking(
    folder: Path, lacks: str, *arguments: str, has: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run ``amct`` so; it must end by itself, not be ended by Caffe."""
    done = run_lacking(folder, lacks, "-m", "amct_core", *arguments, has=has)
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done
