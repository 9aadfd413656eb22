"""Commands that run a framework: in a process of their own, whose end becomes a message."""

from __future__ import annotations

import copy
import functools
import os
import signal
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Optional

import attrs
import click

from amct_core.errors import AmctError, FrameworkEndedError

if TYPE_CHECKING:
    from amct_core.supervision.process import Ending

SUPERVISION_VARIABLE = "AMCT_SUPERVISION"
"""``0`` runs commands in the process that is started: for debuggers, which would wait in it."""

_LINES = 8
"""How many of the last lines of a framework's log are shown."""

_STACK = ("*** ", "    @ ")
_KILLED_FOR_MEMORY = (
    "as the system does when memory runs out. Use smaller batches, or end other programs."
)


@attrs.frozen
class Invocation:
    """How ``amct`` was called.

    Attributes:
        may_fork: whether this process is the command's alone; false where a program calls it.
    """

    may_fork: bool = False

    @classmethod
    def of_process(cls, environment: Mapping[str, str]) -> Invocation:
        """Return how it is called as the program of a process."""
        return cls(may_fork=environment.get(SUPERVISION_VARIABLE) != "0")


def supervised(command: click.Command) -> click.Command:
    """Return ``command`` with its body in a process of its own, where that is possible."""
    body = command.callback
    if body is None:
        return command

    @functools.wraps(body)
    def apart(*args: Any, **kwargs: Any) -> Any:
        context = click.get_current_context()
        invocation = context.find_root().obj
        ending = go_apart(invocation if isinstance(invocation, Invocation) else Invocation())
        if ending is None:
            return body(*args, **kwargs)
        return context.exit(status_of(ending))

    watched = copy.copy(command)
    watched.callback = apart
    return watched


def go_apart(invocation: Invocation) -> Optional[Ending]:
    """Go on in a process of its own, where that is possible.

    Returns:
        None where the command is to run; how it ended where it was waited for.
    """
    if not invocation.may_fork:
        return None
    from amct_core.supervision.process import can_supervise, supervise

    return supervise() if can_supervise() else None


def status_of(ending: Ending) -> int:
    """Return the exit status that a process has given, or that stands for the user's signal.

    Raises:
        FrameworkEndedError: a signal ended it that nobody sent through this process.
    """
    if ending.status is not None:
        return ending.status
    if ending.requested and ending.signal in (ending.requested, signal.SIGKILL):
        name = signal.Signals(ending.requested).name
        click.echo(f"Ended by {name}.{_how_to_go_on(ending)}", err=True)
        return 128 + ending.requested
    log_file = _kept_log(ending)
    if log_file is not None:
        click.echo(f"The last lines of {log_file}:", err=True)
        for line in _last_lines(ending.log):
            click.echo(f"  {line}", err=True)
    raise error_of(ending)


def error_of(ending: Ending) -> AmctError:
    """Return what the user is told of a process that was ended."""
    from amct_core.plugins import registries

    faults = (
        []
        if ending.signal == signal.SIGKILL
        else [
            (frontend.name.capitalize(), fault)
            for frontend in registries().frontends
            for fault in [frontend.fault(ending.log)]
            if fault is not None
        ]
    )
    name = signal.Signals(ending.signal).name
    where = _where(ending)
    who = f"{ending.facts['who']}: " if "who" in ending.facts else ""
    if not faults:
        why = f", {_KILLED_FOR_MEMORY}" if ending.signal == signal.SIGKILL else "."
        return FrameworkEndedError(
            f"{who}the process was ended by {name}{where}{why}",
            remedy=_how_to_go_on(ending).strip(),
        )
    framework, fault = faults[0]
    remedy = f"{fault.remedy}{_how_to_go_on(ending)}".strip()
    return FrameworkEndedError(
        f"{who}{framework} ended the process{where}: {_sentence(fault.sentence)}",
        file=fault.file,
        layer=fault.layer,
        remedy=remedy,
    )


def _where(ending: Ending) -> str:
    if ending.iteration is None:
        return ""
    last = f" of {ending.facts['last']}" if "last" in ending.facts else ""
    return f" at iteration {ending.iteration}{last}"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _how_to_go_on(ending: Ending) -> str:
    remedy: Optional[str] = ending.facts.get("remedy")
    return f" {remedy}" if remedy else ""


def _last_lines(log: str) -> list[str]:
    lines = [line for line in log.splitlines() if line.strip() and not line.startswith(_STACK)]
    return lines[-_LINES:]


def _kept_log(ending: Ending) -> Optional[str]:
    """Return the file that has the log; write it beside our own log if it has none yet."""
    kept: Optional[str] = ending.facts.get("log")
    if kept is not None or not ending.log.strip():
        return kept
    from amct_core.logging import folder

    path = os.path.join(folder(os.environ), "framework.log")
    try:
        os.makedirs(os.path.dirname(path), mode=0o750, exist_ok=True)
        with open(path, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(ending.log)
    except OSError:
        return "the log"  # it is shown, and cannot be kept
    return path
