"""Reads an LMDB, which needs the lmdb package."""

from __future__ import annotations

import os
from typing import Any, Generator, Tuple

from amct_core.errors import FileFormatError


def records(path: str) -> Generator[Tuple[bytes, bytes], None, None]:
    """Yield key and value of each record, in order.

    Args:
        path: the folder of the database, or its file.

    Raises:
        ImportError: lmdb is not installed.
        FileFormatError: it is no LMDB, it is cut off, or it is empty.
    """
    import lmdb

    try:
        with lmdb.open(
            path, readonly=True, lock=False, create=False, subdir=os.path.isdir(path)
        ) as opened:
            _require_complete(opened, path)
            with opened.begin() as transaction:
                cursor = transaction.cursor()
                if not cursor.first():
                    raise _unusable(path, "it is empty.")
                for key, value in cursor:
                    yield bytes(key), bytes(value)
    except lmdb.Error as error:
        raise _unusable(path, f"it cannot be opened as an LMDB: {error}.") from error


def _require_complete(opened: Any, path: str) -> None:
    """Raise if the file is shorter than its pages: reading behind its end ends the process."""
    file = os.path.join(path, "data.mdb") if os.path.isdir(path) else path
    expected = (opened.info()["last_pgno"] + 1) * opened.stat()["psize"]
    found = os.path.getsize(file)
    if found < expected:
        raise _unusable(path, f"it is cut off: found {found} bytes, expected at least {expected}.")


def _unusable(path: str, problem: str) -> FileFormatError:
    return FileFormatError(problem, file=path, remedy="Make it again, or name another.")
