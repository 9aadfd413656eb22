"""Whole files, as text or as a map of the memory."""

from __future__ import annotations

import hashlib
import io
import mmap
import os
from typing import Tuple, Union

from amct_core.errors import AmctError, FileFormatError
from amct_core.files.journal import settle


def read_text(path: Union[str, os.PathLike[str]]) -> str:
    """Return the contents of a text file in UTF-8.

    Bytes that are not UTF-8 become lone surrogates (PEP 383), which :class:`FileSet` writes as the
    same bytes: comments and paths in Caffe's files come in any encoding, such as GBK.

    If the process that was writing the files in this folder was killed between two of them, the
    others are put in place first.

    Raises:
        AmctError: it cannot be read; the message names it.
    """
    return read_text_and_digest(path)[0]


def read_text_and_digest(path: Union[str, os.PathLike[str]]) -> Tuple[str, str]:
    """Return what :func:`read_text` does, and the SHA-256 digest of the file's bytes in digits."""
    settle(os.path.dirname(os.path.abspath(path)))
    try:
        with open(path, "rb") as stream:
            content = stream.read()
        text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", errors="surrogateescape")
        return text.read(), hashlib.sha256(content).hexdigest()
    except OSError as error:
        raise AmctError(
            f"cannot be read: {error.strerror or error}.", file=path, remedy="Check the path."
        ) from error


def map_file(path: Union[str, os.PathLike[str]]) -> Union[bytes, mmap.mmap]:
    """Return the contents of a file as a read-only memory map; of an empty one, no bytes.

    Files of its set are put in place first as by :func:`read_text`.

    Raises:
        FileFormatError: it cannot be read.
    """
    settle(os.path.dirname(os.path.abspath(path)))
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
    except OSError as error:
        raise FileFormatError(
            f"cannot be read: {error.strerror or error}.", file=path, remedy="Check the path."
        ) from error
