"""Answers questions about Caffe: ``python -m amct_caffe.runtime.capabilities NAME...``.

Caffe is imported once; each question is then asked in a fork.  The answers go to standard output,
one line of JSON each.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile

import attrs

from amct_caffe.runtime.capabilities.apart import Outcome, run_apart
from amct_caffe.runtime.capabilities.probe import Probe
from amct_caffe.runtime.capabilities.registered import PROBES
from amct_core.errors import EnvironmentUnsuitableError


def main() -> None:
    """Ask the questions that the command line names."""
    try:
        from amct_caffe.runtime import pycaffe  # noqa: F401, for all forks
    except EnvironmentUnsuitableError as error:
        sys.exit(f"{error.problem} {error.remedy}")
    for name in sys.argv[1:]:
        outcome = _ask(PROBES[name])
        line = json.dumps({"name": name, **attrs.asdict(outcome)})
        print(line, flush=True)


def _ask(probe: Probe) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:

        def ask() -> object:
            os.chdir(folder)
            tempfile.tempdir = folder
            return attrs.asdict(probe.ask())

        return run_apart(ask)


if __name__ == "__main__":
    main()
