"""Temporary folders that do not outlive a process that was killed by more than one run."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import Iterator

from amct_core.files.locks import is_still_at, try_lock, unlock
from amct_core.files.problems import cannot_write
from amct_core.files.stages import name_beside, remove_abandoned


@contextlib.contextmanager
def temporary_folder(parent: str, name: str) -> Iterator[str]:
    """Make a folder in ``parent`` that goes with the block.

    Of a process that was killed meanwhile, the next one that writes in ``parent`` removes it.

    Args:
        parent: an existing folder.
        name: a part of the folder's name, for people.

    Raises:
        AmctError: it cannot be made.
    """
    remove_abandoned(parent)
    try:
        path, descriptor = _create(os.path.join(parent, name))
    except OSError as error:
        raise cannot_write(parent, error) from error
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)  # else whoever writes here next does it
        unlock(descriptor)


def _create(beside: str) -> tuple[str, int]:
    while True:
        path = name_beside(beside)
        os.mkdir(path, 0o700)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # somebody has found it before it was locked
        if try_lock(descriptor) and is_still_at(descriptor, path):
            return path, descriptor
        unlock(descriptor)
