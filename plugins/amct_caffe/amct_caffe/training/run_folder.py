"""What ``amct qat run`` keeps in its folder to go on after an interruption."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, TypeVar

import attrs

from amct_caffe.model.formats.prototxt.solver import Solver
from amct_caffe.model.formats.snapshots import Snapshot, snapshots_of
from amct_core.errors import AmctError, ConfigError, FileFormatError, TrainingError
from amct_core.files import read_text, write_atomically

T = TypeVar("T")

STATE_FILE = "run.json"
TRAINED_FILE = "trained.json"
LOCK_FILE = "run.lock"

_VERSION = 1
_RESTART = "Begin again with --restart, which replaces what is in the folder, or give another -o."


@attrs.frozen
class RunState:
    """What a run was begun with, and what it made of that before training.

    Attributes:
        inputs: digests of the files, and the options, by what they are called in a message.
        made: digests of the files that training starts from, by path within the folder.
    """

    inputs: Mapping[str, Any]
    made: Mapping[str, str]


def digest(path: str) -> str:
    """Return the SHA-256 of a file, in hexadecimal.

    Raises:
        FileFormatError: it cannot be read.
    """
    found = hashlib.sha256()
    try:
        with open(path, "rb") as stream:
            for block in iter(lambda: stream.read(1 << 20), b""):
                found.update(block)
    except OSError as error:
        raise FileFormatError(
            f"cannot be read: {error.strerror or error}.", file=path, remedy="Check the path."
        ) from error
    return found.hexdigest()


def describe_inputs(files: Mapping[str, Optional[str]], **options: Any) -> Dict[str, Any]:
    """Return the inputs of a run: the digest of each file that is given, and the options."""
    digests = {name: None if path is None else digest(path) for name, path in files.items()}
    return {**digests, **json.loads(json.dumps(options))}


def read_state(folder: str) -> Optional[RunState]:
    """Return what the run in a folder was begun with; None where there is none.

    Raises:
        FileFormatError: the file that says it is damaged.
    """
    return _read(
        os.path.join(folder, STATE_FILE),
        lambda document: RunState(dict(document["inputs"]), dict(document["made"])),
    )


def write_state(folder: str, inputs: Mapping[str, Any], made: Sequence[str]) -> None:
    """Say what the run in a folder was begun with, once all of ``made`` are there."""
    _write(folder, STATE_FILE, {"inputs": dict(inputs), "made": _digests(folder, made)})


def forget_state(folder: str) -> None:
    """Have the next run begin from the beginning."""
    for name in (TRAINED_FILE, STATE_FILE):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, name))


def write_trained(folder: str, learned: Sequence[str]) -> None:
    """Say that training in a folder came to its end, the last TEST pass too.

    A file of its own: that of the state tells by its age which snapshots are of this run.

    Args:
        folder: of the run.
        learned: what training wrote that saving reads: the last snapshot and the record.
    """
    _write(folder, TRAINED_FILE, {"learned": _digests(folder, learned)})


def is_trained(folder: str, learned: Sequence[str]) -> bool:
    """Return whether training came to its end, and ``learned`` are as it left them."""
    path = os.path.join(folder, TRAINED_FILE)
    found = _read(path, lambda document: dict(document["learned"]))
    return all(map(os.path.isfile, learned)) and found == _digests(folder, learned)


def _read(path: str, content: Callable[[Any], T]) -> Optional[T]:
    """Return what a file says that :func:`_write` wrote; None where there is none."""
    if not os.path.exists(path):
        return None
    try:
        document = json.loads(read_text(path))
        if document["version"] != _VERSION:
            raise ValueError(f"its version is {document['version']}; expected {_VERSION}")
        return content(document)
    except (ValueError, KeyError, TypeError) as error:
        raise FileFormatError(
            f"it does not say how far the run is: {error}.", file=path, remedy=_RESTART
        ) from error


def _digests(folder: str, paths: Sequence[str]) -> Dict[str, str]:
    return {os.path.relpath(path, folder): digest(path) for path in paths}


def _write(folder: str, name: str, document: Mapping[str, Any]) -> None:
    text = json.dumps({"version": _VERSION, **document}, indent=2) + "\n"
    write_atomically(os.path.join(folder, name), text)


def require_same(folder: str, state: RunState, inputs: Mapping[str, Any]) -> None:
    """Raise a ConfigError unless a run in ``folder`` can go on.

    Its inputs must be those that it was begun with, and nobody may have changed what it made.
    """
    changed = [name for name in inputs if inputs[name] != state.inputs.get(name)]
    if changed:
        raise ConfigError(
            f"there is a run with other inputs; changed since: {', '.join(changed)}.",
            file=folder,
            remedy=_RESTART,
        )
    for name, expected in state.made.items():
        path = os.path.join(folder, name)
        if not os.path.isfile(path) or digest(path) != expected:
            raise ConfigError(
                "it is gone or was changed since the run in this folder made it.",
                file=path,
                remedy=_RESTART,
            )


def last_snapshot(folder: str, solver: Solver) -> Optional[Snapshot]:
    """Return the last whole snapshot that the run in ``folder`` has taken; None if there is none.

    Those of an earlier run are older than the file that says how this one was begun.
    """
    begun = os.stat(os.path.join(folder, STATE_FILE)).st_mtime_ns
    for snapshot in snapshots_of(solver):
        if (
            snapshot.iteration <= solver.max_iter
            and snapshot.is_whole
            and os.stat(snapshot.state).st_mtime_ns >= begun
        ):
            return snapshot
    return None


@contextlib.contextmanager
def locked(folder: str) -> Iterator[None]:
    """Let no second run into a folder, which is made if need be; the lock ends with the process.

    Folders that were made go again where the block has left nothing in them.

    Raises:
        TrainingError: another run is in the folder; the message names it.
        AmctError: the folder cannot be made.
    """
    made: List[str] = []
    try:
        _make(os.path.abspath(folder), made)
        path = os.path.join(folder, LOCK_FILE)
        descriptor = _lock(folder, path)
    except OSError as error:
        raise AmctError(
            f"cannot be written: {error.strerror or error}.",
            file=folder,
            remedy="Check the folder, its permissions and the space left.",
        ) from error
    try:
        yield
    finally:
        os.unlink(path)
        os.close(descriptor)
        for each in reversed(made):
            with contextlib.suppress(OSError):  # there is something in it
                os.rmdir(each)


def _make(folder: str, made: List[str]) -> None:
    if not os.path.isdir(folder):
        _make(os.path.dirname(folder), made)
        os.mkdir(folder)
        made.append(folder)


def _lock(folder: str, path: str) -> int:
    """Return the descriptor of the lock file, which this process alone has locked."""
    import fcntl

    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 1024, 0).decode("utf-8", "replace")
            os.close(descriptor)
            raise TrainingError(
                f"another run is at work here: {holder or 'one that has just begun'}.",
                file=folder,
                remedy="Wait for its end, stop it, or give another -o.",
            ) from error
        if _is_file(descriptor, path):
            name = f"process {os.getpid()} on {socket.gethostname()}"
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, name.encode("utf-8", "replace"), 0)
            return descriptor
        os.close(descriptor)  # whoever had it has just removed the file


def _is_file(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
