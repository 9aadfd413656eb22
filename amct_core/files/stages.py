"""Files that wait beside their destinations until they are complete.

The process that makes one holds its lock (:mod:`amct_core.files.locks`), so that whoever writes in
the folder next can tell what a process that was killed has left there.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
from typing import IO, Optional

from amct_core.files.locks import is_abandoned, is_still_at, try_lock, unlock

SUFFIX = ".amct-new"

_NAME_LENGTH = 40
"""Characters of the destination's name in the stage's: a name has 255 bytes at most."""

_log = logging.getLogger("amct_core.files")


class Stage:
    """A file that waits, locked.

    Args:
        destination: where it belongs.
        made: a file that is complete, in the same file system; None: a new one, to be written.

    Attributes:
        path: where it waits.
        destination: absolute path of where it belongs.
    """

    def __init__(self, destination: str, made: Optional[str] = None) -> None:
        self.destination = os.path.abspath(destination)
        if made is None:
            self.path, self._descriptor = _create(self.destination)
        else:
            self.path = os.path.abspath(made)
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)

    def open(self) -> IO[bytes]:
        """Return a stream that writes it."""
        return os.fdopen(os.dup(self._descriptor), "wb")

    def take_mode_of_destination(self) -> None:
        """Get the permissions of the file that it will replace, if there is one.

        Raises:
            OSError: a folder stands in its place.
        """
        if os.path.isdir(self.destination) and not os.path.islink(self.destination):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), self.destination)
        if os.path.exists(self.destination):
            shutil.copymode(self.destination, self.path)

    def put_in_place(self) -> None:
        """Replace the destination, whatever was there."""
        os.replace(self.path, self.destination)

    def release(self) -> None:
        """Give up the lock."""
        if self._descriptor >= 0:
            unlock(self._descriptor)
            self._descriptor = -1

    def discard(self) -> None:
        """Remove the file if it still waits, and give up the lock."""
        # Where it cannot be removed, whoever writes in the folder next does it.
        with contextlib.suppress(OSError):
            os.unlink(self.path)
        self.release()

    def __del__(self) -> None:
        if getattr(self, "_descriptor", -1) >= 0:
            self.release()


def _create(destination: str) -> tuple[str, int]:
    while True:
        path = name_beside(destination)
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666)
        except FileExistsError:
            continue
        try:
            # Somebody may have found it before it was locked, and is removing it.
            if try_lock(descriptor) and is_still_at(descriptor, path):
                return path, descriptor
        except BaseException:
            unlock(descriptor)
            os.unlink(path)
            raise
        unlock(descriptor)


def name_beside(destination: str) -> str:
    """Return a new path for what waits for ``destination``, in the same folder."""
    folder, name = os.path.split(os.path.abspath(destination))
    return os.path.join(folder, f".{name[:_NAME_LENGTH]}.{os.urandom(4).hex()}{SUFFIX}")


def remove_abandoned(folder: str) -> None:
    """Remove the stages and temporary folders that processes without an end have left here."""
    try:
        names = os.listdir(folder)
    except OSError:
        return  # a folder need not be readable to be written
    for name in names:
        if name.startswith(".") and name.endswith(SUFFIX):
            _remove_if_abandoned(os.path.join(folder, name))


def _remove_if_abandoned(path: str) -> None:
    is_folder = os.path.isdir(path)
    mode = os.O_RDONLY if is_folder else os.O_RDWR  # NFS locks only what is open for writing
    try:
        descriptor = os.open(path, mode | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return  # gone meanwhile, or another user's
    try:
        if is_abandoned(descriptor):
            if is_folder:
                shutil.rmtree(path)
            else:
                os.unlink(path)
            _log.info("'%s', which an interrupted process had left, has been removed", path)
    except OSError as error:
        _log.info("'%s', which an interrupted process had left, stays: %s", path, error)
    finally:
        unlock(descriptor)
