"""Files that are written all or none."""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
from types import TracebackType
from typing import IO, Dict, Iterator, List, Optional, Set, Tuple, Type, Union

from amct_core.errors import AmctError
from amct_core.files.journal import NAME, NotRestored, commit, settle
from amct_core.files.problems import cannot_write, refuse_special
from amct_core.files.reading import map_file
from amct_core.files.signals import deferred_signals
from amct_core.files.stages import Stage, remove_abandoned

_log = logging.getLogger("amct_core.files")


def write_atomically(path: Union[str, os.PathLike[str]], data: Union[str, bytes]) -> None:
    """Write one file: afterwards it holds all of ``data``, or what it held before.

    Raises:
        AmctError: it cannot be written.
    """
    with FileSet(announce=False) as files:
        files.add(path, data)


class FileSet:
    """Files that are written all or none.

    A context manager.  Files are staged beside their destinations and moved there when the block
    ends without an exception; otherwise the staged files go and the old ones stay.  Signals wait
    while files are moved.  If the process is killed then, whoever writes or reads one of the files
    next through :mod:`amct_core.files` moves the others (:mod:`amct_core.files.journal`).

    Args:
        announce: whether overwriting an existing file is logged as a warning.
    """

    def __init__(self, announce: bool = True) -> None:
        self._announce = announce
        self._staged: Dict[str, Stage] = {}
        self._folders: List[str] = []
        self._entered: Set[str] = set()
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
            stage = self._stage(destination)
            try:
                with stage.open() as stream:
                    yield stream
                    stream.flush()
                    os.fsync(stream.fileno())
            except BaseException:
                self._staged.pop(destination).discard()  # a part of a file is none
                raise
        except OSError as error:
            raise cannot_write(destination, error) from error

    def move(self, path: Union[str, os.PathLike[str]], made: Union[str, os.PathLike[str]]) -> None:
        """Stage a file that another program has made, which is moved to ``path``.

        Args:
            path: where it belongs.
            made: the file, in the same file system; it goes with the others if the block fails.
        """
        try:
            self._stage(os.fspath(path), os.fspath(made))
        except OSError as error:
            raise cannot_write(os.fspath(path), error) from error

    def contents(self, path: Union[str, os.PathLike[str]]) -> Union[bytes, mmap.mmap]:
        """Return what has been staged for ``path``."""
        return map_file(self._staged[os.fspath(path)].path)

    def __enter__(self) -> FileSet:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        try:
            with deferred_signals():
                if kind is None:
                    self._commit()
        finally:
            with deferred_signals():
                self._discard()

    def _commit(self) -> None:
        existed = [path for path in self._staged if os.path.exists(path)]
        destination = ""
        try:
            stages = list(self._staged.values())
            for destination, stage in self._staged.items():  # noqa: B007 - for the message
                stage.take_mode_of_destination()
            if len(stages) == 1:
                stages[0].put_in_place()
            elif stages:
                commit(stages)
        except OSError as error:
            raise cannot_write(self._named(error) or destination, error) from error
        except NotRestored as error:
            raise _half_written(destination, error) from error
        self._folders.clear()
        for path in existed:
            if self._announce and path not in self._updated:
                _log.warning("'%s' existed and has been overwritten", path)

    def _stage(self, destination: str, made: Optional[str] = None) -> Stage:
        refuse_special(destination)
        with deferred_signals():
            self._enter_folder(os.path.dirname(os.path.abspath(destination)))
            previous = self._staged.pop(destination, None)
            if previous is not None:
                previous.discard()
            stage = self._staged[destination] = Stage(destination, made)
        return stage

    def _named(self, error: OSError) -> Optional[str]:
        """Return the destination that ``error`` is about, as the caller has spelled it."""
        about = {error.filename, error.filename2}
        for path, stage in self._staged.items():
            if about & {stage.path, stage.destination}:
                return path
        return None

    def _discard(self) -> None:
        """Remove what has been made and not been put in place."""
        for stage in self._staged.values():
            stage.discard()
        self._staged.clear()
        for folder in reversed(self._folders):
            with contextlib.suppress(OSError):  # somebody else has put a file there meanwhile
                os.rmdir(folder)
        self._folders.clear()

    def _enter_folder(self, folder: str) -> None:
        """Make the folder if need be, and tidy up what killed processes have left there."""
        if folder in self._entered:
            return
        self._make_folder(folder)
        settle(folder)
        remove_abandoned(folder)
        self._entered.add(folder)

    def _make_folder(self, folder: str) -> None:
        if os.path.isdir(folder) or folder == os.path.dirname(folder):
            return
        self._make_folder(os.path.dirname(folder))
        os.mkdir(folder)
        self._folders.append(folder)


def _half_written(path: str, error: NotRestored) -> AmctError:
    journal = os.path.join(os.path.dirname(os.path.abspath(path)), NAME)
    return AmctError(
        f"cannot be written: {error.__cause__}; files of its set that had been written could not "
        f"be taken back: {error}.",
        file=path,
        remedy=f"What belongs where is in {journal}; the next command that reads or writes these "
        "files puts them right. Check the folder and its permissions.",
    )
