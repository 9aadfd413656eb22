"""What users are told where a file cannot be written."""

from __future__ import annotations

import contextlib
from typing import Iterator

from amct_core.errors import AmctError


def cannot_write(path: str, error: OSError) -> AmctError:
    """Return the error to raise where writing ``path`` has failed with ``error``."""
    return AmctError(
        f"cannot be written: {error.strerror or error}.",
        file=path,
        remedy="Check the folder, its permissions and the space left.",
    )


@contextlib.contextmanager
def writing(path: str) -> Iterator[None]:
    """Turn an OSError of the block, which writes ``path``, into an AmctError."""
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error
