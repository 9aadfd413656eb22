"""Reading whole files, and writing them so that nobody sees half of one, nor half of a set."""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import shutil
import tempfile
from types import TracebackType
from typing import IO, Dict, Iterator, List, Optional, Set, Tuple, Type, Union

from amct_core.errors import AmctError, FileFormatError

_log = logging.getLogger("amct_core.files")


def read_text(path: Union[str, os.PathLike[str]]) -> str:
    """Return the contents of a text file in UTF-8.

    Bytes that are not UTF-8 become lone surrogates (PEP 383), which :class:`FileSet` writes as the
    same bytes: comments and paths in Caffe's files come in any encoding, such as GBK.

    Raises:
        AmctError: it cannot be read; the message names it.
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read()
    except OSError as error:
        raise AmctError(
            f"cannot be read: {error.strerror or error}.", file=path, remedy="Check the path."
        ) from error


def map_file(path: Union[str, os.PathLike[str]]) -> Union[bytes, mmap.mmap]:
    """Return the contents of a file as a read-only memory map; of an empty one, no bytes.

    Raises:
        FileFormatError: it cannot be read.
    """
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
    except OSError as error:
        raise FileFormatError(
            f"cannot be read: {error.strerror or error}.", file=path, remedy="Check the path."
        ) from error


def write_atomically(path: Union[str, os.PathLike[str]], data: Union[str, bytes]) -> None:
    """Write one file: afterwards it holds all of ``data``, or what it held before.

    Raises:
        AmctError: it cannot be written.
    """
    with FileSet(announce=False) as files:
        files.add(path, data)


class FileSet:
    """Files that are written all or none.

    A context manager.  Files are staged beside their destinations and renamed when the block ends
    without an exception; otherwise the staged files go and the old ones stay.

    Args:
        announce: whether overwriting an existing file is logged as a warning.
    """

    def __init__(self, announce: bool = True) -> None:
        self._announce = announce
        self._staged: Dict[str, str] = {}
        self._folders: List[str] = []
        self._updated: Set[str] = set()

    @property
    def paths(self) -> Tuple[str, ...]:
        """The destinations staged so far, in order."""
        return tuple(self._staged)

    def add(self, path: Union[str, os.PathLike[str]], data: Union[str, bytes]) -> None:
        """Stage ``data`` (text is written as UTF-8) for ``path``."""
        with self.open(path) as stream:
            stream.write(data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data)

    def update(self, path: Union[str, os.PathLike[str]], data: Union[str, bytes]) -> None:
        """Stage new contents for a file that is kept up to date; overwriting it is no news."""
        self._updated.add(os.fspath(path))
        self.add(path, data)

    @contextlib.contextmanager
    def open(self, path: Union[str, os.PathLike[str]]) -> Iterator[IO[bytes]]:
        """Stage what the block writes into the binary stream for ``path``."""
        destination = os.fspath(path)
        try:
            self._make_folder(os.path.dirname(os.path.abspath(destination)))
            descriptor, staged = tempfile.mkstemp(
                prefix=f".{os.path.basename(destination)}.",
                dir=os.path.dirname(os.path.abspath(destination)),
            )
        except OSError as error:
            raise _cannot_write(destination, error) from error
        previous = self._staged.pop(destination, None)
        if previous is not None:
            os.unlink(previous)
        self._staged[destination] = staged
        try:
            with os.fdopen(descriptor, "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise _cannot_write(destination, error) from error

    def __enter__(self) -> FileSet:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        if kind is None:
            self._commit()
        else:
            self._discard()

    def _commit(self) -> None:
        kept: Dict[str, Optional[str]] = {}
        try:
            for destination, staged in self._staged.items():
                kept[destination] = self._keep_old(destination, staged)
                os.replace(staged, destination)
        except OSError as error:
            self._restore(kept)
            self._discard()
            raise _cannot_write(destination, error) from error
        for destination, old in kept.items():
            if old is not None:
                os.unlink(old)
                if self._announce and destination not in self._updated:
                    _log.warning("'%s' existed and has been overwritten", destination)
        self._staged.clear()

    def _keep_old(self, destination: str, staged: str) -> Optional[str]:
        """Put the old file aside under another name, and give the new one its mode."""
        if not os.path.exists(destination):
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(staged, 0o666 & ~umask)
            return None
        shutil.copymode(destination, staged)
        old = f"{staged}.old"
        os.link(destination, old)
        return old

    def _restore(self, kept: Dict[str, Optional[str]]) -> None:
        for destination, old in kept.items():
            if old is not None:
                os.replace(old, destination)
            elif os.path.exists(destination):
                os.unlink(destination)

    def _discard(self) -> None:
        for staged in self._staged.values():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(staged)
        for folder in reversed(self._folders):
            with contextlib.suppress(OSError):  # somebody else has put a file there meanwhile
                os.rmdir(folder)
        self._staged.clear()

    def _make_folder(self, folder: str) -> None:
        if os.path.isdir(folder):
            return
        self._make_folder(os.path.dirname(folder))
        os.mkdir(folder)
        self._folders.append(folder)


def _cannot_write(path: str, error: OSError) -> AmctError:
    return AmctError(
        f"cannot be written: {error.strerror or error}.",
        file=path,
        remedy="Check the folder, its permissions and the space left.",
    )
