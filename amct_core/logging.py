"""Where log records go: the console and ``amct_log/amct_caffe.log``, as in AMCT.

``AMCT_LOG_DIR`` moves the folder.  Two environment variables choose the levels,
``AMCT_LOG_LEVEL`` for the console and ``AMCT_LOG_FILE_LEVEL`` for the file: DEBUG, INFO, WARNING or
ERROR in any case, INFO by default.

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

FOLDER_VARIABLE = "AMCT_LOG_DIR"
FOLDER = "amct_log"
FILE_NAME = "amct_caffe.log"
FOLDER_MODE = 0o750
FILE_MODE = 0o640

FORMAT = "%(asctime)s - %(levelname)s - [AMCT]:[%(said_by)s]: %(message)s"

_SAID_BY = "said_by"

_LAST_RESORT = logging.lastResort or logging.NullHandler()

_log = logging.getLogger("amct_core.logging")


def folder(environment: Mapping[str, str]) -> str:
    """Return the folder of the log: what ``AMCT_LOG_DIR`` says, else ``amct_log`` where we are."""
    return environment.get(FOLDER_VARIABLE) or FOLDER


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

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; the program may have set its own console up since we were imported."""
        set_propagation()
        super().emit(record)

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

    The folder ``amct_log`` (mode 750) in the current directory, or the one that ``AMCT_LOG_DIR``
    names, is made with the first record for the file, and the file (mode 640) is emptied then;
    further calls change nothing.  Where it cannot be written, a warning says so and records go to
    the console alone.
    """
    loggers = [logging.getLogger(name) for name in LOGGERS]
    set_propagation()
    if any(isinstance(handler, ConsoleHandler) for handler in loggers[0].handlers):
        return

    wanted = levels(os.environ)
    formatter = _Formatter()
    # The file first: where it cannot be written, the console says so before it shows the record.
    file = _FileHandler(os.path.join(folder(os.environ), FILE_NAME))
    console = ConsoleHandler()
    for handler, level in ((file, wanted.file), (console, wanted.console)):
        handler.setLevel(level)
        handler.setFormatter(formatter)
    for logger in loggers:
        logger.removeHandler(_LAST_RESORT)
        logger.setLevel(min(wanted.file, wanted.console))
        logger.addHandler(file)
        logger.addHandler(console)
    for complaint in wanted.complaints:
        _log.warning(complaint)


def configure_for_script() -> None:
    """Configure, unless somebody has decided where records go: then there are handlers."""
    if not any(logging.getLogger(name).handlers for name in LOGGERS):
        configure()


def leave_to_command() -> None:
    """Show warnings as logging does without handlers, until a command calls :func:`configure`."""
    for name in LOGGERS:
        logging.getLogger(name).addHandler(_LAST_RESORT)


def set_propagation() -> None:
    """Give the root logger our records, unless it would print them a second time."""
    propagate = not _root_writes_to_console()
    for name in LOGGERS:
        logging.getLogger(name).propagate = propagate


class _FileHandler(logging.FileHandler):
    """Makes the folder and empties the file when the first record comes."""

    def __init__(self, path: str) -> None:
        super().__init__(path, mode="a", encoding="utf-8", errors="backslashreplace", delay=True)
        self._has_begun = False
        self._is_lost = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, if the file can be written."""
        if not self._has_begun:
            self._begin()
        if not self._is_lost:
            super().emit(record)

    def _begin(self) -> None:
        self._has_begun = True
        try:
            os.makedirs(os.path.dirname(self.baseFilename), mode=FOLDER_MODE, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            os.close(os.open(self.baseFilename, flags, FILE_MODE))
        except OSError as error:
            self._is_lost = True
            _log.warning(
                "the log file %s cannot be written (%s); messages go to the console alone. "
                "Set %s to a folder that can be written to keep them.",
                self.baseFilename,
                error.strerror,
                FOLDER_VARIABLE,
            )


def _root_writes_to_console() -> bool:
    console = (sys.stderr, sys.stdout, sys.__stderr__, sys.__stdout__)
    return any(
        isinstance(handler, logging.StreamHandler) and handler.stream in console
        for handler in logging.getLogger().handlers
    )
