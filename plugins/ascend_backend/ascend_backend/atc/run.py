"""Runs a program in a process group of its own, and ends the whole group whatever happens."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from types import FrameType
from typing import IO, Callable, Iterator, List, Optional, Sequence

import attrs

from amct_core.errors import EnvironmentUnsuitableError

GRACE = 5.0
"""Seconds between the request to end (SIGTERM) and the order (SIGKILL)."""

SIGNAL_STATUS = 128
"""What a shell adds to the number of the signal that ended a program."""

_SHUTDOWN_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@attrs.frozen
class Outcome:
    """How a program ended.

    Attributes:
        status: exit status; negative: minus the number of the signal that ended it.
        output: standard output and standard error in the order of writing.
        timed_out: whether it was ended because its time was up.
    """

    status: int
    output: str
    timed_out: bool


def run(
    arguments: Sequence[str],
    log: IO[bytes],
    echo: Callable[[bytes], None],
    timeout: Optional[float] = None,
    grace: float = GRACE,
) -> Outcome:
    """Run a program without a shell and without standard input.

    Args:
        arguments: the executable first.
        log: receives everything that the program writes, as it writes it.
        echo: receives the same, line by line; called in another thread.
        timeout: seconds after which the program is ended; None: never.
        grace: seconds that it is given to end by itself when asked to.

    Raises:
        EnvironmentUnsuitableError: the program cannot be started.
        KeyboardInterrupt, SystemExit: Ctrl-C, or a request to this process to end; the program and
            all that it had started are gone by then.
    """
    with _shutdown_as_exit(), _start(arguments) as process:
        assert process.stdout is not None
        lines: List[bytes] = []
        reader = threading.Thread(
            target=_copy, args=(process.stdout, log, echo, lines), name="atc output", daemon=True
        )
        reader.start()
        timed_out = False
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            timed_out = True
        finally:
            _end_group(process, grace)
            reader.join()
    return Outcome(process.returncode, b"".join(lines).decode("utf-8", "replace"), timed_out)


def _start(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise EnvironmentUnsuitableError(
            f"cannot be started: {error.strerror or error}.",
            file=arguments[0],
            remedy="Check that it is a program for this machine and that you may run it.",
        ) from error


def _copy(
    stream: IO[bytes], log: IO[bytes], echo: Callable[[bytes], None], lines: List[bytes]
) -> None:
    for line in stream:
        lines.append(line)
        log.write(line)
        log.flush()
        echo(line)


def _end_group(process: subprocess.Popen[bytes], grace: float) -> None:
    """End the program if it runs, and whatever it has started and left behind."""
    if process.poll() is None:
        _signal_group(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            process.wait(grace)  # a second Ctrl-C cuts the grace short
    _signal_group(process, signal.SIGKILL)
    process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # nobody of the group is left
        os.killpg(process.pid, number)


@contextlib.contextmanager
def _shutdown_as_exit() -> Iterator[None]:
    """Let a request to end unwind the stack, so that the program is not left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers, and gets the signals
        return
    previous = {number: signal.signal(number, _exit) for number in _SHUTDOWN_SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _exit(number: int, _frame: Optional[FrameType]) -> None:
    raise SystemExit(SIGNAL_STATUS + number)
