"""Runs ``atc`` so that its result is there whole or not at all."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import IO, Callable, Iterator, Optional

import attrs

from amct_core.errors import AmctError, EnvironmentUnsuitableError
from amct_core.files import FileSet, temporary_folder
from ascend_backend.atc.command import Conversion, arguments, as_shell
from ascend_backend.atc.error_codes import explain
from ascend_backend.atc.find import Atc
from ascend_backend.atc.run import SIGNAL_STATUS, Outcome, run

SUFFIX = ".om"

_LAST_SIGNAL = 64

_NO_LIBRARY = "error while loading shared libraries"

_CANNOT_EXECUTE = (126, 127)
"""Exit statuses of shells and loaders for what cannot be executed, or lacks a library."""


class ConversionError(AmctError, RuntimeError):
    """``atc`` did not convert the model."""


def convert(
    conversion: Conversion,
    atc: Atc,
    log_file: str,
    echo: Callable[[bytes], None],
    timeout: Optional[float] = None,
) -> str:
    """Let ``atc`` make the ``.om`` and return its path.

    ``atc`` writes into a temporary folder beside the output; what it has made is moved from there
    when it has ended well.  It runs in the current folder, so that paths among the extra options
    mean what they say.

    Args:
        log_file: keeps the command line and all that ``atc`` writes.
        echo: receives what ``atc`` writes, line by line.
        timeout: seconds; None: no limit.

    Raises:
        ConversionError: ``atc`` refused, crashed, exceeded the limit or made no ``.om``.
        AmctError: the output or the log cannot be written, or ``atc`` not be started.
    """
    output = Path(conversion.output)
    with _writable(output.parent) as folder, _open_log(log_file) as log:
        staged = attrs.evolve(conversion, output=str(folder / output.name))
        command = arguments(staged, str(atc.path))
        log.write(f"{as_shell(command)}\n".encode())
        log.flush()
        try:
            outcome = run(command, log, echo, timeout)
        except OSError as error:
            raise AmctError(
                f"what atc writes cannot be passed on: {error.strerror or error}; it has been "
                "stopped.",
                remedy=f"Check that the terminal is open and that {log_file} has space to grow.",
            ) from error
        _check(outcome, atc, log_file, timeout)
        made = _move(folder, output, log_file)
    for line in _explained(outcome.output).splitlines(keepends=True)[1:]:
        echo(line.encode())  # warnings
    return str(made)


@contextlib.contextmanager
def _writable(folder: Path) -> Iterator[Path]:
    """Make ``folder`` if need be, and a temporary one in it that goes with the block."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(str(folder), error) from error
    with temporary_folder(str(folder), "atc") as temporary:
        yield Path(temporary)


def _open_log(path: str) -> IO[bytes]:
    try:
        return open(path, "wb")
    except OSError as error:
        raise _cannot_write(path, error) from error


def _check(outcome: Outcome, atc: Atc, log_file: str, timeout: Optional[float]) -> None:
    """Raise what ``atc``'s end means, unless it is success."""
    if outcome.timed_out:
        raise ConversionError(
            f"atc had not ended after {timeout:g} seconds and has been stopped.",
            field="--timeout",
            remedy=f"Allow it more time; {log_file} holds how far it came.",
        )
    number = _signal(outcome.status)
    if number:
        raise ConversionError(
            f"atc was ended by signal {number}; expected it to end by itself.",
            remedy="Memory may have run out, or atc has crashed: "
            f"its last lines in {log_file} may tell.{_explained(outcome.output)}",
        )
    if outcome.status in _CANNOT_EXECUTE or _NO_LIBRARY in outcome.output:
        raise EnvironmentUnsuitableError(
            f"atc cannot run here (exit status {outcome.status}).",
            file=atc.path,
            remedy=f"Run 'source {atc.environment_script or 'set_env.sh'}' of the CANN "
            "installation first.",
        )
    if outcome.status:
        explained = _explained(outcome.output)
        raise ConversionError(
            f"atc refused the model with exit status {outcome.status}.",
            remedy=f"{log_file} holds what it wrote.{explained}"
            if explained
            else f"It gave no error code; read its last lines in {log_file}.",
        )


def _signal(status: int) -> int:
    """Return the signal that ended ``atc``, or the program that a shell script runs as ``atc``."""
    if status < 0:
        return -status
    number = status - SIGNAL_STATUS
    return number if 0 < number <= _LAST_SIGNAL else 0  # 255 is what atc returns for a failure


def _explained(output: str) -> str:
    """Return a line for each code in ``output``, each behind a line break."""
    return "".join(f"\n{c.heading}: {c.meaning} {c.what_to_do}" for c in explain(output))


def _move(folder: Path, output: Path, log_file: str) -> Path:
    """Move what ``atc`` made to where it was asked for, all or none.

    The file may be called ``<name>_<system>_<architecture>.om``, and with ``--external_weight`` a
    folder ``weight`` lies beside it (hicann/ge docs, --output and --external_weight).
    """
    made = sorted(folder.glob(f"*{SUFFIX}"), key=lambda path: len(path.name))
    if not made or not made[0].stat().st_size:
        found = "an empty one" if made else "none"
        raise ConversionError(
            f"atc reported success, but of the '{output.name}{SUFFIX}' expected it made {found}.",
            remedy=f"Read {log_file}; an option such as --mode asks for something else.",
        )
    beside = [path for path in folder.rglob("*") if path != made[0] and not path.is_dir()]
    with FileSet(announce=False) as files:
        for path in (*beside, made[0]):
            destination = output.parent / path.relative_to(folder)
            files.move(destination, path)
    return destination


def _cannot_write(path: str, error: OSError) -> AmctError:
    return AmctError(
        f"cannot be written: {error.strerror or error}.",
        file=path,
        remedy="Check the folder, its permissions and the space left.",
    )
