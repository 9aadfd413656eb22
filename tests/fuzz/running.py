"""Runs a target on mutated seeds, and stops at what must not happen."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import time
import traceback
from pathlib import Path
from random import Random
from types import FrameType
from typing import Iterator, Optional

import attrs

from amct_core.errors import AmctError
from tests.fuzz.mutation import Files, mutated
from tests.fuzz.targets import Target

MOST_SECONDS = 1.0
MOST_BYTES = 2**30
_HANGS_AFTER = 20.0


class TooSlowError(Exception):
    """A file took more than the limit."""


@attrs.frozen
class Failure:
    """What went wrong, and with which files.

    Attributes:
        number: of the execution.
        reason: the end of a traceback.
        where: tells failures of one cause from others.
        files: the input.
    """

    number: int
    reason: str
    where: str
    files: Files


@attrs.define
class Result:
    """What a target has done.

    Attributes:
        target: its name.
        start: number of the first execution.
        executions: how many files it has read.
        accepted: how many of them without an error.
        seconds: how long all of them took.
        slowest: seconds of processor time of the slowest one.
        peak: memory of the process at its peak, beyond what it had before, in bytes.
        digest: of all inputs: equal for equal seeds.
        failure: what stopped it.
    """

    target: str
    start: int = 0
    executions: int = 0
    accepted: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    peak: int = 0
    digest: str = ""
    failure: Optional[Failure] = None


def fuzz(
    target: Target,
    folder: Path,
    seed: int,
    executions: Optional[int] = None,
    seconds: Optional[float] = None,
    start: int = 0,
) -> Iterator[Result]:
    """Run ``target``; yield what it has done at each failure, and at its end.

    Args:
        target: what reads the files.
        folder: an empty one, for its files.
        seed: of the mutations; execution ``i`` follows from it, from the target's name and ``i``.
        executions: how many; None: as many as ``seconds`` allow.
        seconds: after which to stop; None: whenever all executions are done.
        start: number of the first execution.
    """
    result = Result(target.name, start)
    _forget_peak()
    before = _peak()
    digest = hashlib.sha256()
    begin = time.monotonic()
    number = start
    while executions is None or number < start + executions:
        if seconds is not None and time.monotonic() - begin >= seconds:
            break
        random = Random(f"{seed}/{target.name}/{number}")
        files = mutated(random, random.choice(target.seeds), target.seeds, target.kinds)
        for each in files:
            digest.update(each)
        failure = _execute(target, files, folder, number, result)
        number += 1
        result.executions += 1
        result.seconds = time.monotonic() - begin
        result.digest = digest.hexdigest()[:16]
        grown = _peak() - before
        if failure is None and grown > max(MOST_BYTES, result.peak):
            failure = Failure(number - 1, f"memory grew by {grown} bytes", "memory", files)
        result.peak = max(result.peak, grown)
        if failure is not None:
            yield attrs.evolve(result, failure=failure)
    yield result


def _execute(
    target: Target, files: Files, folder: Path, number: int, result: Result
) -> Optional[Failure]:
    try:
        for _ in range(2):
            begin = time.process_time()
            with _limited():
                accepted = _accepts(target, files, folder)
            taken = time.process_time() - begin
            # What is compiled in the first attempt is there in the second.
            if taken <= MOST_SECONDS:
                break
        else:
            raise TooSlowError(f"it took {taken:.1f} s")
        result.accepted += accepted
        result.slowest = max(result.slowest, taken)
    except Exception as error:
        lines = traceback.extract_tb(error.__traceback__)
        own = [line for line in lines if "site-packages" not in line.filename] or lines
        where = f"{type(error).__name__} {Path(own[-1].filename).name}:{own[-1].lineno}"
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__)[-6:])
        return Failure(number, text, where, files)
    return None


def _accepts(target: Target, files: Files, folder: Path) -> bool:
    try:
        target.run(files, folder)
    except AmctError as error:
        if isinstance(error.__cause__, MemoryError):
            raise error.__cause__ from None
        str(error)
        return False
    return True


class _limited:  # noqa: N801
    """Interrupts what hangs, by the processor time of this process."""

    def __enter__(self) -> None:
        signal.signal(signal.SIGPROF, _interrupt)
        signal.setitimer(signal.ITIMER_PROF, _HANGS_AFTER)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _interrupt(number: int, frame: Optional[FrameType]) -> None:
    raise TooSlowError(f"it was interrupted after {_HANGS_AFTER} s")


def warm_up(target: Target, folder: Path) -> None:
    """Read each seed, which must be accepted, so that later executions compile little."""
    for files in target.seeds:
        target.run(files, folder)


def limit_memory() -> None:
    """Let no allocation succeed that would take the process 1 GiB beyond what it has now."""
    with open("/proc/self/statm", encoding="ascii") as stream:
        mapped = int(stream.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MOST_BYTES, most))


def _forget_peak() -> None:
    """Let the peak begin at what the process has now (``proc(5)``, clear_refs)."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as stream:
        stream.write("5")


def _peak() -> int:
    """Return the most memory since :func:`_forget_peak`, in bytes."""
    with open("/proc/self/status", encoding="ascii") as stream:
        (line,) = [line for line in stream if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024
