"""Locks that tell whether the process that made a file is still there.

They are those of flock(2): the kernel releases them when the process ends, however it ends, and
they tell the processes of two containers apart, which numbers of processes do not.  Some file
systems of clusters have no such locks; there nothing is known about another process.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time

_ABANDONED_AFTER = 24 * 3600
"""Seconds after which a file on a file system without locks is held to be abandoned."""


def try_lock(descriptor: int) -> bool:
    """Lock an open file or folder until it is closed; return whether another one has done so.

    On a file system without locks it counts as locked by the caller.

    Returns:
        True if it is locked now.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # ENOSYS, ENOLCK, ENOTSUP, EBADF: as the file system likes
        return True
    return True


def is_abandoned(descriptor: int) -> bool:
    """Return whether no process holds the lock of an open file or folder; it is locked then."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return time.time() - os.fstat(descriptor).st_mtime > _ABANDONED_AFTER
    return True


def is_still_at(descriptor: int, path: str) -> bool:
    """Return whether ``path`` is the open file, which somebody may have removed meanwhile."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def unlock(descriptor: int) -> None:
    """Close a locked file or folder.

    An error of closing is none here: what had to be on the disk has been synced.
    """
    with contextlib.suppress(OSError):
        os.close(descriptor)
