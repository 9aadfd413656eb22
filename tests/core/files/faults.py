"""Lets a system call fail, or the process end, while files are written.

Every function of :mod:`os` and :mod:`fcntl` that :mod:`amct_core.files` calls is wrapped; calls are
counted in the order in which they come.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from collections.abc import Callable
from types import ModuleType
from typing import Any

import attrs

_CALLS: tuple[tuple[ModuleType, str], ...] = (
    *(
        (os, name)
        for name in (
            *("open", "close", "dup", "write", "pread", "ftruncate", "fsync"),
            *("replace", "link", "unlink", "mkdir", "rmdir", "chmod"),
            *("stat", "lstat", "fstat", "listdir"),
        )
    ),
    (fcntl, "flock"),
)

TAKES_SPACE = frozenset({"open", "write", "ftruncate", "fsync", "link", "mkdir"})
"""What a full disk refuses; renaming and removing it does not."""


def fail_full_disk() -> None:
    """Say that there is no space."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def fail_broken_disk() -> None:
    """Say that the disk does not answer."""
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def interrupt() -> None:
    """Do what Ctrl-C does where nobody defers it."""
    raise KeyboardInterrupt


def kill() -> None:
    """End this process as the kernel does when memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)


@attrs.frozen
class Fault:
    """What happens, and when.

    Attributes:
        happens: raises, or does not return.
        at: number of the call, from 0.
        after: the call is done before.
        lasting: all later calls fail, too.
        calls: names of the calls that fail; empty: all.
    """

    happens: Callable[[], None]
    at: int
    after: bool = False
    lasting: bool = False
    calls: frozenset[str] = frozenset()


class Calls:
    """Counts calls, and lets them fail as a :class:`Fault` says."""

    def __init__(self, fault: Fault | None) -> None:
        self.count = 0
        self._fault = fault

    def install(self) -> None:
        """Wrap the functions; for the rest of this process."""
        for module, name in _CALLS:
            setattr(module, name, self._wrapped(getattr(module, name), name))

    def _wrapped(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        def wrapper(*args: Any, **options: Any) -> Any:
            number, self.count = self.count, self.count + 1
            fails = self._fails(number, name)
            if fails and self._fault is not None and not self._fault.after:
                self._fault.happens()
            result = call(*args, **options)
            if fails and self._fault is not None and self._fault.after:
                self._fault.happens()
            return result

        return wrapper

    def _fails(self, number: int, name: str) -> bool:
        if self._fault is None or (self._fault.calls and name not in self._fault.calls):
            return False
        return number >= self._fault.at if self._fault.lasting else number == self._fault.at


def in_child(run: Callable[[], None], fault: Fault | None = None) -> tuple[str, int]:
    """Run something in a process of its own, with a fault.

    Returns:
        How it ended, ``"done"``, the type of the exception, or ``"killed"``; and the number of
        calls until then (0 if it was killed).
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        write, leave = os.write, os._exit
        calls = Calls(fault)
        try:
            calls.install()
            run()
            said = "done"
        except BaseException as error:
            said = type(error).__name__
        write(writer, f"{said} {calls.count}".encode())
        leave(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        answer = stream.read().split()
    os.waitpid(pid, 0)
    return (answer[0], int(answer[1])) if answer else ("killed", 0)
