"""Runs a function in a process of its own, which Caffe may end."""

from __future__ import annotations

import faulthandler
import json
import os
import re
import signal
import sys
import tempfile
import time
from typing import IO, Any, Callable, Optional

import attrs

_FATAL = re.compile(r"^F\d{4,8} .*?\] (?P<sentence>.*)$", re.MULTILINE)
"""A line of glog's level FATAL; ``F`` and the date, time, thread, file and line come first."""

_PROTOBUF = re.compile(r"^\[libprotobuf ERROR [^]]*\] (?P<sentence>.*)$", re.MULTILINE)
_KNOWN_TYPES = re.compile(r" *\(known types: .*")
"""The list of all layer types, behind the one that is unknown."""

_STACK = ("*** ", "    @ ", "Aborted")
_POLL_SECONDS = 0.005


@attrs.frozen
class Outcome:
    """How a function ended.

    Attributes:
        value: what it returned, as JSON has it; None if it returned nothing.
        returned: whether it returned at all.
        sentence: what was said last where it did not return.
    """

    value: Any
    returned: bool
    sentence: str = ""


def run_apart(function: Callable[[], Any], seconds: float = 60) -> Outcome:
    """Run ``function`` in a fork of this process; wait for it.

    What it returns must be JSON.  What it prints is dropped, unless it ends the process.

    Args:
        function: raises and aborts as it likes.
        seconds: after which the process is ended.
    """
    with tempfile.TemporaryFile() as result, tempfile.TemporaryFile() as output:
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            _run(function, result, output)
        status = _wait(child, seconds)
        if status is None:
            return Outcome(None, False, f"no answer within {seconds:g} seconds")
        text, said = _contents(result), _contents(output)
    if status == 0 and text:
        return Outcome(json.loads(text), True)
    return Outcome(None, False, text or sentence_of(said) or f"the process ended with {status}")


def sentence_of(output: str) -> str:
    """Return the sentence with which Caffe ended a process, from what that process printed.

    The parser of prototxt says what is wrong before Caffe says that something is.
    """
    for pattern in (_PROTOBUF, _FATAL):
        found = pattern.search(output)
        if found:
            return _KNOWN_TYPES.sub("", found["sentence"]).strip()
    lines = [line for line in output.splitlines() if line.strip() and not line.startswith(_STACK)]
    return lines[-1].strip() if lines else ""


def _run(function: Callable[[], Any], result: IO[bytes], output: IO[bytes]) -> None:
    """Be the child; never returns."""
    status = 1
    try:
        _leave_nothing_behind()
        for descriptor in (1, 2):
            os.dup2(output.fileno(), descriptor)
        try:
            text = json.dumps(function())
            status = 0
        except Exception as error:  # whatever it is, it is the answer
            text = f"{type(error).__name__}: {error}"
        result.write(text.encode("utf-8"))
        result.flush()
    finally:
        os._exit(status)


def _leave_nothing_behind() -> None:
    """Leave neither a core nor a list of Python's frames where Caffe ends the process."""
    import resource

    faulthandler.disable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _wait(child: int, seconds: float) -> Optional[int]:
    """Return how ``child`` ended; None if it had to be ended."""
    end = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return status
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(_POLL_SECONDS)


def _contents(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode("utf-8", "replace")
