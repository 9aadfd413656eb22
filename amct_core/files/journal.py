"""Puts a set of files in place, all or none, even if the process ends in between.

1. While files are moved into a folder, ``.amct-commit`` there holds the list of what belongs where,
   as JSON.  The set counts as written from the moment on in which this journal is complete: what is
   left of it is then done by whoever uses the folder next.
2. Where the files lie in several folders, the journal is in the first of them in alphabetical
   order, and the same file in the others names that folder.
3. An old file is set aside before the new one takes its place: as a hard link, so that it never
   lacks, or by renaming where there are none.  If a file cannot be put in place, those before it go
   back to where they waited, and the old ones return.  That needs no space.  An interruption in
   between leads to the new set: at every moment each new file lies where it waits or where it
   belongs, known by the number of its inode.
4. Who moves files holds the lock of the journals, taken in alphabetical order.
5. Paths in a journal are relative to its folder, so that the folders may be moved together.
6. A folder may come from somebody else, with a journal in it.  So nothing is moved unless it waits
   below the folder that it belongs into, under a name of ours, and that folder is the journal's own
   or has a journal that names it: nobody outside can have put that there.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import time
from typing import Any, Dict, Iterable, Iterator, Mapping, Optional, Sequence, Set

import attrs

from amct_core.errors import AmctError
from amct_core.files.locks import is_still_at, try_lock, unlock
from amct_core.files.signals import deferred_signals
from amct_core.files.stages import SUFFIX, Stage, name_beside

NAME = ".amct-commit"

_ASIDE = ".amct-old"
_PATIENCE = 30.0
"""Seconds to wait for another process that moves files; that takes milliseconds."""

_NOT_SYNCED = (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EBADF)
"""What a file system answers that does not sync folders, or a folder that cannot be read."""

_log = logging.getLogger("amct_core.files")


class NotRestored(Exception):
    """Old files could not be put back; the journal stays, and the next run goes on with it."""


class _ForeignJournalError(Exception):
    """What a journal says is nothing that :func:`commit` writes."""


@attrs.frozen
class _Move:
    """A file that goes from where it waits to where it belongs; absolute paths.

    Attributes:
        staged, destination: paths.
        aside: where the old file waits meanwhile.
        inode: number of the new file.
    """

    staged: str
    destination: str
    aside: str
    inode: int


def commit(stages: Sequence[Stage]) -> None:
    """Put the files in place.

    Raises:
        OSError: one cannot be; then all are as they were.
        NotRestored: nor can those be put back that had been put in place; the cause says why one
            cannot be put in place.
        AmctError: another process moves files for too long.
    """
    moves = [_move(stage) for stage in stages]
    folders = sorted({os.path.dirname(move.destination) for move in moves})
    with _locked_and_settled(folders) as journals:
        try:
            _write_all(journals, moves)
            try:
                for move in moves:
                    _put_in_place(move)
                for folder in folders:
                    _sync(folder)
            except BaseException as error:
                _undo_all(moves, error)
                raise
        except NotRestored:
            raise
        except BaseException:
            _remove(folders)
            raise
        # The set is written.  What cannot be removed now is removed by whoever comes next.
        with contextlib.suppress(OSError):
            _remove_asides(moves)
            _remove(folders)


def settle(folder: str) -> None:
    """Finish what a process has left unfinished that was moving files into ``folder``.

    Waits if a process is at it.

    Raises:
        AmctError: it cannot be finished, or the journal is not one of ours.
    """
    involved = {folder}
    try:
        while os.path.lexists(os.path.join(folder, NAME)):
            with _locked(sorted(involved)) as journals:
                contents = {path: _read(journal) for path, journal in journals.items()}
                needed = involved | _folders(contents)
                _require_own(contents, needed - involved)
                if needed == involved:
                    with deferred_signals():
                        _finish(contents)
                        _remove(sorted(involved, key=lambda path: "files" not in contents[path]))
            involved = needed
    except _ForeignJournalError as error:
        raise AmctError(
            f"this is not a list that the program has left where it was interrupted: {error}.",
            file=os.path.join(folder, NAME),
            remedy="Nothing has been moved. Remove the file if you do not know where it is from.",
        ) from error
    except (OSError, NotRestored) as error:
        raise AmctError(
            "a command that was ended while it wrote files in this folder has left them half "
            f"replaced, and they cannot be completed: {_reason(error)}.",
            file=os.path.join(folder, NAME),
            remedy="Run a command that reads or writes here where it may write; or remove this "
            "file, and write the set of files again.",
        ) from error


@contextlib.contextmanager
def _locked_and_settled(folders: Sequence[str]) -> Iterator[Dict[str, int]]:
    while True:
        for folder in folders:
            settle(folder)
        with _locked(folders) as journals:
            if not any(_read(journal) for journal in journals.values()):
                yield journals
                return
        # Somebody has died in the moment between.


@contextlib.contextmanager
def _locked(folders: Sequence[str]) -> Iterator[Dict[str, int]]:
    """Open the journals of some folders, empty where there are none, and lock them.

    Yields:
        Their descriptors by folder.
    """
    journals: Dict[str, int] = {}
    try:
        for folder in folders:
            journals[folder] = _lock(os.path.join(folder, NAME))
        yield journals
    finally:
        for descriptor in journals.values():
            unlock(descriptor)


def _lock(path: str) -> int:
    """Return a descriptor of the journal, which is created, or waited for, as need be."""
    until = time.monotonic() + _PATIENCE
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            if try_lock(descriptor) and is_still_at(descriptor, path):
                return descriptor
        except BaseException:
            unlock(descriptor)
            raise
        unlock(descriptor)
        if time.monotonic() > until:
            raise AmctError(
                f"another process has been writing files here for more than {_PATIENCE:.0f} s.",
                file=path,
                remedy="Wait for it, or end it.",
            )
        time.sleep(0.005)


def _remove(folders: Iterable[str]) -> None:
    """Remove the journals, the main one first: while it is there, the others have to name it."""
    for folder in folders:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, NAME))


def _write_all(journals: Mapping[str, int], moves: Sequence[_Move]) -> None:
    """Write the journals, the main one last: with it, the set counts as written."""
    main, *others = journals
    for folder in others:
        _write(journals[folder], {"see": os.path.relpath(main, folder)})
    _write(journals[main], {"files": [_as_json(move, main) for move in moves]})
    for folder in journals:
        _sync(folder)


def _finish(contents: Mapping[str, Mapping[str, Any]]) -> None:
    for folder, content in contents.items():
        moves = _moves(content, folder)
        if not moves:
            continue
        names = ", ".join(repr(move.destination) for move in moves)
        if not all(_waits(move) or _is_in_place(move) for move in moves):
            _undo_all(moves, None)
            _log.warning(
                "writing %s was interrupted, and a file that was to be put in place is gone: those "
                "from before are back",
                names,
            )
            continue
        try:
            for move in moves:
                if _waits(move):
                    os.replace(move.staged, move.destination)
        except OSError as error:
            _undo_all(moves, error)
            _log.warning(
                "writing %s was interrupted, and cannot be completed (%s): the files from before "
                "are back",
                names,
                _reason(error),
            )
            continue
        _remove_asides(moves)
        _log.warning("writing %s was interrupted; it has been completed", names)


def _put_in_place(move: _Move) -> None:
    if os.path.lexists(move.destination):
        try:
            os.link(move.destination, move.aside, follow_symlinks=False)
        except OSError:  # no hard links here, or not of this file
            os.replace(move.destination, move.aside)
    os.replace(move.staged, move.destination)


def _undo_all(moves: Sequence[_Move], reason: object) -> None:
    try:
        for move in reversed(moves):
            _undo(move)
    except OSError as error:
        cause = reason if isinstance(reason, BaseException) else error
        raise NotRestored(_reason(error)) from cause


def _undo(move: _Move) -> None:
    if not _waits(move) and _is_in_place(move):
        os.replace(move.destination, move.staged)
    if os.path.lexists(move.aside):
        os.replace(move.aside, move.destination)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(move.aside)  # rename(2) leaves two links to one file as they are


def _remove_asides(moves: Iterable[_Move]) -> None:
    for move in moves:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(move.aside)


def _waits(move: _Move) -> bool:
    return os.path.lexists(move.staged)


def _is_in_place(move: _Move) -> bool:
    try:
        return os.lstat(move.destination).st_ino == move.inode
    except FileNotFoundError:
        return False


def _move(stage: Stage) -> _Move:
    aside = name_beside(stage.destination)[: -len(SUFFIX)] + _ASIDE
    return _Move(stage.path, stage.destination, aside, os.lstat(stage.path).st_ino)


def _as_json(move: _Move, folder: str) -> Dict[str, Any]:
    paths = attrs.asdict(move)
    inode = paths.pop("inode")
    return {**{key: os.path.relpath(path, folder) for key, path in paths.items()}, "inode": inode}


def _moves(content: Mapping[str, Any], folder: str) -> Sequence[_Move]:
    """Return what the journal of ``folder`` lists.

    Raises:
        _ForeignJournalError: something else, or what does not wait where it belongs.
    """
    try:
        moves = [_from_json(entry, folder) for entry in content.get("files", ())]
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise _ForeignJournalError(f"it does not list files: {error!r}") from error
    for move in moves:
        home = os.path.join(os.path.dirname(move.destination), "")
        waits = move.staged.startswith(home) and SUFFIX in move.staged[len(home) :]
        if not waits or os.path.dirname(move.aside) + os.sep != home:
            raise _ForeignJournalError(f"{move.destination!r} would come from elsewhere")
        if not move.aside.endswith(_ASIDE):
            raise _ForeignJournalError(f"{move.aside!r} is no name of ours")
    return moves


def _require_own(contents: Mapping[str, Mapping[str, Any]], further: Set[str]) -> None:
    """Check that the folders which journals move files into have journals that name them.

    Args:
        contents: of the journals that are open.
        further: folders that they name and that are not open yet.

    Raises:
        _ForeignJournalError: one has not.
    """
    for folder, content in contents.items():
        for move in _moves(content, folder):
            home = os.path.dirname(move.destination)
            if home in contents:
                own = home == folder or _main(contents[home], home) == folder
            else:
                own = home not in further or os.path.lexists(os.path.join(home, NAME))
            if not own:
                raise _ForeignJournalError(f"{home!r} knows nothing of it")


def _from_json(entry: Mapping[str, Any], folder: str) -> _Move:
    def path(key: str) -> str:
        return os.path.normpath(os.path.join(folder, entry[key]))

    return _Move(path("staged"), path("destination"), path("aside"), int(entry["inode"]))


def _main(content: Mapping[str, Any], folder: str) -> Optional[str]:
    """Return the folder of the main journal that another one names; None: it names none."""
    named = content.get("see")
    return os.path.normpath(os.path.join(folder, named)) if isinstance(named, str) else None


def _folders(contents: Mapping[str, Mapping[str, Any]]) -> Set[str]:
    """Return the folders that the journals name and that are there."""
    found = set()
    for folder, content in contents.items():
        main = _main(content, folder)
        found |= set() if main is None else {main}
        found |= {os.path.dirname(move.destination) for move in _moves(content, folder)}
    return {folder for folder in found if os.path.isdir(folder)}


def _write(journal: int, content: Mapping[str, Any]) -> None:
    data = json.dumps(content).encode()
    os.ftruncate(journal, 0)
    while data:
        data = data[os.write(journal, data) :]
    os.fsync(journal)


def _read(journal: int) -> Mapping[str, Any]:
    """Return what a journal says; nothing if it is not complete."""
    data = os.pread(journal, os.fstat(journal).st_size, 0)
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):  # its writer was ended before the first file was moved
        return {}
    return content if isinstance(content, dict) else {}


def _sync(folder: str) -> None:
    """Have the names in a folder on the disk, where the file system can do that."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NOT_SYNCED:
            raise


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error)
