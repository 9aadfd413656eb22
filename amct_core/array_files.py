"""NumPy's files of arrays, ``.npy`` and ``.npz``: read without trust in what they say.

A header may claim any shape, and a damaged file makes zipfile, its decompressors and NumPy raise
almost any exception.

Source of the format: NumPy's documentation, ``numpy.lib.format``.
"""

from __future__ import annotations

import contextlib
import math
import os
import zipfile
from typing import IO, Any, Dict, Iterator, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import FileFormatError

_format: Any = np.lib.format  # without types in NumPy 1


@attrs.frozen
class Header:
    """What stands before the numbers of an array.

    Attributes:
        shape: of the array.
        fortran_order: whether the first axis is the one that runs fastest.
        dtype: of the numbers.
    """

    shape: Tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        """How many bytes follow."""
        return math.prod(self.shape) * self.dtype.itemsize

    def read(self, stream: IO[bytes]) -> NDArray[Any]:
        """Return the array from a stream that stands behind the header.

        Raises:
            ValueError: the stream ends before it.
        """
        content = stream.read(self.size)
        numbers: NDArray[Any] = np.frombuffer(content, self.dtype)
        if self.fortran_order:
            return numbers.reshape(self.shape[::-1]).transpose()
        return numbers.reshape(self.shape)


def read_header(stream: IO[bytes], size: int) -> Header:
    """Read the header of an array.

    Args:
        stream: stands at its first byte.
        size: bytes of header and numbers.

    Raises:
        ValueError: it is none, it is one of Python objects, or ``size`` is not what it says.
        Exception: NumPy's parser of headers gives others as well; see :func:`reading`.
    """
    begin = stream.tell()
    version = _format.read_magic(stream)
    if version == (1, 0):
        found = Header(*_format.read_array_header_1_0(stream))
    else:
        found = Header(*_format.read_array_header_2_0(stream))
    stored = size - (stream.tell() - begin)
    if found.dtype.hasobject:
        raise ValueError("it is not a plain array, but one of Python objects")
    if found.size != stored or min(found.shape, default=1) < 0 or not found.dtype.itemsize:
        raise ValueError(
            f"it has {stored} bytes; its header says {found.dtype} of shape {found.shape}, which "
            f"are {found.size}"
        )
    return found


@contextlib.contextmanager
def reading(path: str, kind: str, remedy: str) -> Iterator[None]:
    """Turn what goes wrong inside into a FileFormatError.

    Args:
        path: of the file that is read.
        kind: of file that it should be, such as ``.npz``.
        remedy: what to do about a damaged one.
    """
    try:
        yield
    except FileFormatError:
        raise
    except Exception as error:
        # NotImplementedError, EOFError, SyntaxError, zlib.error, tokenize.TokenError among them
        reason = str(error) or type(error).__name__
        raise FileFormatError(
            f"cannot be read as an {kind} file: {reason.rstrip('.')}.", file=path, remedy=remedy
        ) from error


def load_npy(path: str, remedy: str) -> NDArray[Any]:
    """Return the array of an ``.npy`` file.

    Raises:
        FileFormatError: it cannot be read.
    """
    with reading(path, ".npy", remedy), open(path, "rb") as stream:
        return read_header(stream, os.fstat(stream.fileno()).st_size).read(stream)
    raise AssertionError  # reading() lets nothing through


def load_npz(path: str, remedy: str) -> Dict[str, NDArray[Any]]:
    """Return the arrays of an ``.npz`` file by name.

    Raises:
        FileFormatError: it cannot be read.
    """
    found = {}
    with reading(path, ".npz", remedy), zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.filename.endswith(".npy"):
                with archive.open(member) as stream:
                    array = read_header(stream, member.file_size).read(stream)
                found[member.filename[: -len(".npy")]] = array
    return found
