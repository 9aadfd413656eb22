"""What users are told where a file cannot be written."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Iterator

from amct_core.errors import AmctError


def cannot_write(path: str, error: OSError) -> AmctError:
    """Return the error to raise where writing ``path`` has failed with ``error``."""
    return AmctError(
        f"cannot be written: {error.strerror or error}.",
        file=path,
        remedy="Check the folder, its permissions and the space left.",
    )


def refuse_special(path: str) -> None:
    """Raise an AmctError if ``path``, or what it links to, is a device, a FIFO or a socket.

    A file that is moved there would replace it.  Folders are not looked at.
    """
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return  # there is nothing, or whoever writes it meets the same error
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return
    kinds = {stat.S_IFIFO: "a FIFO or pipe", stat.S_IFSOCK: "a socket"}
    raise AmctError(
        f"cannot be written: it is {kinds.get(stat.S_IFMT(mode), 'a device')}, which a file would "
        "replace; expected a regular file, or none.",
        file=path,
        remedy="Give the path of a file.",
    )


@contextlib.contextmanager
def writing(path: str) -> Iterator[None]:
    """Turn an OSError of the block, which writes ``path``, into an AmctError."""
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error
