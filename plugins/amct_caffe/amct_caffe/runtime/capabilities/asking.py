"""Asks the Caffe that is installed, without importing it here."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from amct_caffe.runtime.capabilities.apart import sentence_of
from amct_caffe.runtime.capabilities.registered import PROBES
from amct_caffe.runtime.installed import caffe_is_installed
from amct_core.extensions.capability import CRASHED, NO, YES, Capability

_SECONDS = 600
"""For all questions; one that hangs is ended long before."""


def capability(name: str) -> Optional[Capability]:
    """Return the answer to one question; None where Caffe is not installed."""
    return capabilities(name).get(name)


def capabilities(*names: str) -> Mapping[str, Capability]:
    """Return the answers to the questions called ``names``, all if none is given.

    Each is asked once in a process: a user's script may insert and check many models.  Without a
    Caffe there is none.
    """
    if not caffe_is_installed():
        return {}
    return _asked(tuple(names or PROBES), sys.executable, tuple(sys.path))


@functools.cache
def _asked(names: Tuple[str, ...], python: str, path: Tuple[str, ...]) -> Mapping[str, Capability]:
    # One BLAS thread: nothing here takes long, and forks do not like threads.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    environment.update(GLOG_minloglevel="2", GLOG_logtostderr="1")
    command = command_with_path(python, path, "amct_caffe.runtime.capabilities.__main__", names)
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, timeout=_SECONDS, check=False
        )
        out, err = done.stdout, done.stderr
    except subprocess.TimeoutExpired as expired:
        out, err = expired.stdout or b"", b"no answer in time"
    found = dict(_answers(out.decode("utf-8", "replace")))
    said = sentence_of(err.decode("utf-8", "replace")) or "it ended without a word"
    unanswered = {
        name: Capability(
            name, PROBES[name].question, CRASHED, (), f"pycaffe cannot be used: {said}"
        )
        for name in names
        if name not in found
    }
    return {name: found.get(name) or unanswered[name] for name in names}


def command_with_path(
    python: str, path: Sequence[str], module: str, arguments: Sequence[str]
) -> List[str]:
    """Return the command that calls ``main`` of a module where imports find what they find here.

    A user's script may have added the folder of its Caffe, or of its layers, to ``sys.path``.
    """
    code = (
        f"import sys; sys.path[:] = {list(path)!r}; "
        "from amct_core.logging import leave_to_command; leave_to_command(); "  # the log is not its
        f"import {module} as module; module.main()"
    )
    return [python, "-c", code, *arguments]


def _answers(output: str) -> Dict[str, Capability]:
    answers: Dict[str, Capability] = {}
    for line in output.splitlines():
        if line.startswith("{"):
            outcome: Dict[str, Any] = json.loads(line)
            answers[outcome["name"]] = _answer(outcome)
    return answers


def _answer(outcome: Mapping[str, Any]) -> Capability:
    question = PROBES[outcome["name"]].question
    if not outcome["returned"]:
        return Capability(outcome["name"], question, CRASHED, (), outcome["sentence"])
    finding = outcome["value"]
    answer = YES if finding["there"] else NO
    return Capability(
        outcome["name"], question, answer, tuple(finding["found"]), finding["sentence"]
    )
