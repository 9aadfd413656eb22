"""Lets Caffe build the nets of a solver in a process of its own: what would end it ends that one.

``python -m amct_caffe.runtime.rehearsal SOLVER WEIGHTS [SOLVERSTATE]``
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Optional

from amct_caffe.runtime.capabilities.apart import sentence_of

_BUILT = "the nets were built"


def problem_of_building(
    solver_file: str, weights_file: str, resume: Optional[str]
) -> Optional[str]:
    """Return Caffe's sentence where it cannot build the nets of a solver; None if it can.

    It loads the weights, too, so that shapes that do not fit are found.
    """
    files = [solver_file, weights_file, *([resume] if resume is not None else [])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-m", "amct_caffe.runtime.rehearsal", *files],
        env=environment,
        capture_output=True,
        check=False,
    )
    if _BUILT.encode() in done.stdout:
        return None
    said = sentence_of(done.stderr.decode("utf-8", "replace"))
    return said or f"the process ended with {done.returncode}"


def _main(solver_file: str, weights_file: str, resume: Optional[str] = None) -> None:
    from amct_caffe.runtime.training import load_solver

    load_solver(solver_file, weights_file, resume)
    print(_BUILT, flush=True)
    # Threads that read ahead may still be at work.
    os._exit(0)


if __name__ == "__main__":
    _main(*sys.argv[1:])
