"""Lets Caffe build a solver's nets in a process of its own, which it may end."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Optional

import attrs

from amct_caffe.runtime.capabilities.apart import sentence_of
from amct_caffe.runtime.capabilities.asking import command_with_path

_BUILT = "the nets were built"


@attrs.frozen
class Rehearsal:
    """What Caffe is to build.

    Attributes:
        solver_file: names the nets.
        weights_file: to load, so that shapes that do not fit are found; None: not known.
        resume: the ``.solverstate`` to go on from, if there is one; not without weights.
    """

    solver_file: str
    weights_file: Optional[str] = None
    resume: Optional[str] = None


def problem_of_building(rehearsal: Rehearsal) -> Optional[str]:
    """Return Caffe's sentence where it cannot build the nets of a solver; None if it can."""
    files = [file for file in attrs.astuple(rehearsal) if file is not None]
    command = command_with_path(sys.executable, sys.path, __name__, files)
    done = subprocess.run(command, capture_output=True, check=False)
    if _BUILT.encode() in done.stdout:
        return None
    said = sentence_of(done.stderr.decode("utf-8", "replace"))
    return said or f"the process ended with {done.returncode}"


def main() -> None:
    """Build the nets of the solver, the weights and the solver state of the command line."""
    from amct_caffe.runtime.training import load_solver

    solver_file, weights_file, resume, *_ = (*sys.argv[1:], None, None)
    load_solver(solver_file, weights_file, resume)
    print(_BUILT, flush=True)
    # Threads that read ahead may still be at work.
    os._exit(0)
