"""Where log records go: the console and ``amct_log/amct_caffe.log``, as in AMCT.

Two environment variables choose the levels, ``AMCT_LOG_LEVEL`` for the console and
``AMCT_LOG_FILE_LEVEL`` for the file: DEBUG, INFO, WARNING or ERROR in any case, INFO by default.

Only the loggers in :data:`LOGGERS` and their children are set up; the root logger belongs to the
program that imports us.  A third-party plugin joins by logging to ``amct.<its name>``.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from typing import TextIO

import attrs

LOGGERS: tuple[str, ...] = ("amct_core", "amct_caffe", "ascend_backend", "cpu_sim_backend", "amct")
"""Loggers that carry our handlers; the last one is for third-party plugins."""

LEVELS: tuple[str, ...] = ("DEBUG", "INFO", "WARNING", "ERROR")
DEFAULT_LEVEL = "INFO"
CONSOLE_VARIABLE = "AMCT_LOG_LEVEL"
FILE_VARIABLE = "AMCT_LOG_FILE_LEVEL"

FOLDER = "amct_log"
FILE = os.path.join(FOLDER, "amct_caffe.log")
FOLDER_MODE = 0o750
FILE_MODE = 0o640

FORMAT = "%(asctime)s - %(levelname)s - [AMCT]:[%(said_by)s]: %(message)s"

_SAID_BY = "said_by"

_log = logging.getLogger("amct_core.logging")


def said_by(module: str) -> dict[str, str]:
    """Return the ``extra`` of a record that AMCT's own ``module`` would have written.

    Programs look for lines such as ``[AMCT]:[Utils]: The model_file is saved in``.
    """
    return {_SAID_BY: module}


class _Formatter(logging.Formatter):
    """Names in each line the module that says it: our own, or the one of :func:`said_by`."""

    def __init__(self) -> None:
        super().__init__(FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        record.__dict__.setdefault(_SAID_BY, record.module)
        return super().format(record)


class ConsoleHandler(logging.StreamHandler):  # type: ignore[type-arg]  # no [...] on CPython 3.9
    """Writes to what ``sys.stderr`` is at the time, so that a redirection takes effect."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        """The standard error of this moment."""
        return sys.stderr


@attrs.frozen
class Levels:
    """The level of each destination, and what was wrong with the variables that chose them."""

    console: int
    file: int
    complaints: tuple[str, ...]


def levels(environment: Mapping[str, str]) -> Levels:
    """Return the levels that ``environment`` asks for; an unknown level counts as the default."""
    complaints: list[str] = []
    chosen = []
    for variable in (CONSOLE_VARIABLE, FILE_VARIABLE):
        value = environment.get(variable, "").strip() or DEFAULT_LEVEL
        name = value.upper()
        if name not in LEVELS:
            complaints.append(
                f"environment variable {variable} is '{value}'; expected one of "
                f"{', '.join(LEVELS)}. {DEFAULT_LEVEL} is used."
            )
            name = DEFAULT_LEVEL
        chosen.append(getattr(logging, name))
    return Levels(chosen[0], chosen[1], tuple(complaints))


def configure() -> None:
    """Send the records of :data:`LOGGERS` to the console and to the log file.

    The first call in a process makes ``amct_log`` (mode 750) in the current directory and empties
    the log file (mode 640); further calls change nothing.  Where the file cannot be written, a
    warning says so and records go to the console alone.
    """
    loggers = [logging.getLogger(name) for name in LOGGERS]
    # The program may print every record itself; then ours would appear twice.
    propagate = not _root_writes_to_console()
    for logger in loggers:
        logger.propagate = propagate
    if any(isinstance(handler, ConsoleHandler) for handler in loggers[0].handlers):
        return

    wanted = levels(os.environ)
    formatter = _Formatter()
    complaints = list(wanted.complaints)
    handlers: list[logging.Handler] = [ConsoleHandler()]
    handlers[0].setLevel(wanted.console)
    try:
        handlers.append(_file_handler())
        handlers[1].setLevel(wanted.file)
    except OSError as error:
        complaints.append(
            f"the log file {os.path.abspath(FILE)} cannot be written ({error.strerror}); "
            "messages go to the console alone. Run in a directory that can be written to keep them."
        )
    for handler in handlers:
        handler.setFormatter(formatter)
    for logger in loggers:
        logger.setLevel(min(handler.level for handler in handlers))
        for handler in handlers:
            logger.addHandler(handler)
    for complaint in complaints:
        _log.warning(complaint)


def _file_handler() -> logging.Handler:
    os.makedirs(FOLDER, mode=FOLDER_MODE, exist_ok=True)
    # Opened here for its mode; the handler appends to the emptied file.
    os.close(os.open(FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE))
    return logging.FileHandler(FILE, mode="a", encoding="utf-8", errors="backslashreplace")


def _root_writes_to_console() -> bool:
    console = (sys.stderr, sys.stdout, sys.__stderr__, sys.__stdout__)
    return any(
        isinstance(handler, logging.StreamHandler) and handler.stream in console
        for handler in logging.getLogger().handlers
    )
