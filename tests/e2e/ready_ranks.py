"""Ranks that have started, for tests that each need a moment on them."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path
from typing import Optional

from ranks import TIMEOUT, Team

_SCRIPTS_ONE_BY_ONE = """
import sys
import time
import traceback

while True:
    folder = sys.stdin.readline().strip() if rank == 0 else ""
    called = world.communicator.Ibarrier()
    while not called.Test():
        time.sleep(0.005)  # MPI itself waits awake, and others need the cores
    folder = world.communicator.bcast(folder)
    if not folder:
        break
    os.chdir(folder)
    try:
        with open("script.py") as stream:
            exec(compile(stream.read(), "script.py", "exec"), dict(globals()))
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        world.communicator.Abort(1)
    world.communicator.Barrier()
    if rank == 0:
        print("done", flush=True)
"""


class ReadyRanks:
    """Ranks that have started and joined, to run scripts on; a context manager.

    A script that fails on one rank ends them all, for others may wait for it; the next script gets
    new ones.

    Args:
        folder: for their own files.
        size: how many.
        prologue: what each runs first; it must define ``os``, ``world`` and ``rank``.
    """

    def __init__(self, folder: Path, size: int, prologue: str) -> None:
        (folder / "ranks.py").write_text(prologue + _SCRIPTS_ONE_BY_ONE)
        self._team = Team(folder, size)
        self._process: Optional[subprocess.Popen[str]] = None

    def run(self, folder: Path, script: str) -> None:
        """Run ``script`` on all ranks, in ``folder``; what fails there fails here."""
        (folder / "script.py").write_text(script)
        process = self._running()
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(f"{folder}\n")
        process.stdin.flush()
        # mpiexec ends its ranks when it is ended, and then there is nothing more to read.
        alarm = threading.Timer(TIMEOUT, process.terminate)
        alarm.start()
        answer = process.stdout.readline()
        alarm.cancel()
        if answer != "done\n":
            self._end()
            raise AssertionError(f"a rank has failed or hangs:\n{self._errors.read_text()}")

    @property
    def _errors(self) -> Path:
        return self._team.folder / "errors"

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            with self._errors.open("w") as errors:
                self._process = self._team.mpiexec("ranks.py", stdin=subprocess.PIPE, stderr=errors)
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.communicate(timeout=TIMEOUT)  # there are no more scripts
            self._process = None

    def __enter__(self) -> ReadyRanks:
        return self

    def __exit__(self, *error: object) -> None:
        self._end()
