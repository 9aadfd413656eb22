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
        OSError: the log or the echo could not be written; the program has been ended.
        KeyboardInterrupt, SystemExit: Ctrl-C, or a request to this process to end; the program and
            all that it had started are gone by then.
    """
    with _shutdown_as_exit():
        process = _start(arguments)
        tee = _Tee(process, log, echo)
        timed_out = False
        try:
            tee.start()
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            timed_out = True
        finally:
            _end_group(process, grace)
            tee.finish(grace)
    return Outcome(process.returncode, tee.text, timed_out)


class _Tee:
    """Copies what a program writes, in a thread, so that waiting for the program has a limit."""

    def __init__(
        self, process: subprocess.Popen[bytes], log: IO[bytes], echo: Callable[[bytes], None]
    ) -> None:
        self._process = process
        self._sinks = (log.write, lambda line: log.flush(), echo)
        self._lines: List[bytes] = []
        self._error: Optional[OSError] = None
        self._thread = threading.Thread(target=self._copy, daemon=True)

    @property
    def text(self) -> str:
        return b"".join(self._lines).decode("utf-8", "replace")

    def start(self) -> None:
        self._thread.start()

    def finish(self, grace: float) -> None:
        """Wait for the last line; no longer than ``grace`` if a stray program holds the stream.

        Raises:
            OSError: what was written could not be copied.
        """
        if self._thread.is_alive():
            self._thread.join(grace)
        if self._error is not None:
            raise self._error

    def _copy(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            for line in stream:
                self._lines.append(line)
                if self._error is None:
                    self._pass_on(line)

    def _pass_on(self, line: bytes) -> None:
        try:
            for sink in self._sinks:
                sink(line)
        except OSError as error:
            self._error = error  # raised by finish; the program is to end, not to go on unseen
            _signal_group(self._process, signal.SIGTERM)


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


def _end_group(process: subprocess.Popen[bytes], grace: float) -> None:
    """End the program if it runs, and whatever it has started and left behind."""
    try:
        if process.poll() is None:
            _signal_group(process, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
                process.wait(
                    grace
                )  # a second Ctrl-C cuts the grace short, as does a second SIGTERM
    finally:
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
    taken = [n for n in _SHUTDOWN_SIGNALS if signal.getsignal(n) is signal.SIG_DFL]
    for number in taken:  # not one that nohup or a caller has made its own
        signal.signal(number, _exit)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _exit(number: int, _frame: Optional[FrameType]) -> None:
    raise SystemExit(SIGNAL_STATUS + number)
