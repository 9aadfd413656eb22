"""What a watched process does for the one that watches it."""

from __future__ import annotations

import contextvars
import os
import sys
from typing import Any, List, Optional, Union

from amct_core.errors import AmctError
from amct_core.supervision.board import Board

_STANDARD_ERROR = 2
_LOG_MODE = 0o640


class Watch:
    """The watched process's side; where nobody watches, nothing happens.

    What a framework's own code writes to standard error (file descriptor 2) goes to a log; what
    Python writes to ``sys.stderr`` goes to the user as before.

    Args:
        board: shared with the process that watches; None: nobody watches.
    """

    def __init__(self, board: Optional[Board] = None) -> None:
        self._board = board

    @property
    def is_on(self) -> bool:
        """Whether somebody watches, so that the framework's log is kept."""
        return self._board is not None

    def tell(self, **facts: Any) -> None:
        """Leave facts for the message in case this process is ended.

        Those that are understood: ``log`` (the file), ``log_start`` (bytes in it that are of
        earlier processes), ``who`` (which of several processes this is),
        ``last`` (the last iteration), ``snapshot`` (to go on from), ``remedy`` (how).
        """
        if self._board is not None:
            self._board.write(**facts)

    def iteration(self, number: int) -> None:
        """Leave the number of the iteration that is about to run."""
        if self._board is not None:
            self._board.iteration = number

    def keep_log(self, path: Union[str, os.PathLike[str]], goes_on: bool = False) -> None:
        """Keep the framework's log, from the beginning of this process on, in the file ``path``.

        Args:
            path: of the file.
            goes_on: whether what the file has of earlier processes stays before it.

        Raises:
            AmctError: it cannot be written.
        """
        if self._board is None:
            return
        path = os.fspath(path)
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | (0 if goes_on else os.O_TRUNC)
            log = os.open(path, flags, _LOG_MODE)
            try:
                start = os.fstat(log).st_size
                os.write(log, contents(_STANDARD_ERROR))
                os.dup2(log, _STANDARD_ERROR)
            finally:
                os.close(log)
        except OSError as error:
            raise AmctError(
                f"cannot be written: {error.strerror or error}.",
                file=path,
                remedy="Check the folder, its permissions and the space left.",
            ) from error
        self.tell(log=path, log_start=start)

    def log_from(self, start: int) -> bytes:
        """Return what the log has from byte ``start`` on; nothing where none is kept."""
        return b"" if self._board is None else contents(_STANDARD_ERROR, start)


_CURRENT: contextvars.ContextVar[Watch] = contextvars.ContextVar("watch")


def current() -> Watch:
    """Return the watch on this process; one that does nothing where it is not watched."""
    return _CURRENT.get(Watch())


def begin(board: Board, log: int) -> None:
    """Make this process a watched one.

    Like the descriptor that it replaces, this holds for the whole process, until its end.

    Args:
        board: shared with the process that watches.
        log: descriptor of the file that gets what the framework writes.
    """
    own = os.fdopen(
        os.dup(_STANDARD_ERROR),
        "w",
        buffering=1,
        encoding=getattr(sys.stderr, "encoding", None),
        errors="backslashreplace",
    )
    sys.stderr = own
    vars(sys)["__stderr__"] = own
    os.dup2(log, _STANDARD_ERROR)
    _CURRENT.set(Watch(board))


def contents(file: int, start: int = 0) -> bytes:
    """Return what is in an open file from byte ``start`` on, without moving its position."""
    parts: List[bytes] = []
    while True:
        part = os.pread(file, 1 << 20, start)
        if not part:
            return b"".join(parts)
        parts.append(part)
        start += len(part)
