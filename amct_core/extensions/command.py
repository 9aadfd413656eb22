"""Extension type for a sub-command of ``amct``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Callable, Optional

import attrs

from amct_core.errors import PluginError
from amct_core.extensions.provided import Constructed
from amct_core.extensions.validation import is_callable

if TYPE_CHECKING:
    import click

    from amct_core.registry import Registry

_PATH = re.compile(r"[a-z][a-z0-9-]*( [a-z][a-z0-9-]*)?")


def _command_path(instance: object, attribute: attrs.Attribute[str], value: object) -> None:
    if not isinstance(value, str) or not _PATH.fullmatch(value):
        raise PluginError(
            f"CliCommand.name is {value!r}; expected 'COMMAND' or 'GROUP COMMAND' in small letters."
        )


@attrs.frozen
class CliCommand(metaclass=Constructed):
    """A sub-command, described cheaply and loaded only when it is called.

    Attributes:
        name: the words after ``amct``: ``doctor``, or ``qat config`` for a command of a group.
        help: one line for the list of commands.
        load: ``() -> click.Command``; imports what the command needs.
        writes_log: whether it keeps a log in ``amct_log``; false for one that only looks.
        runs_framework: whether it runs a framework, which may end the process: then the command
            gets a process of its own, and its end becomes an error.
    """

    name: str = attrs.field(validator=_command_path)
    help: str
    load: Callable[[], click.Command] = attrs.field(validator=is_callable)
    writes_log: bool = True
    runs_framework: bool = False

    @property
    def group(self) -> Optional[str]:
        """The group the command belongs to, or None."""
        return self.name.split(" ")[0] if " " in self.name else None


def check_groups(registry: Registry[CliCommand]) -> None:
    """Refuse a command that has the name of a group.

    Raises:
        PluginError: naming both plugins.
    """
    for command in registry:
        if command.group is not None and command.group in registry:
            raise PluginError(
                f"plugin '{registry.provider(command.group)}' provides the command "
                f"'{command.group}', which is the group of '{command.name}' from plugin "
                f"'{registry.provider(command.name)}'.",
                remedy="Uninstall one of them, or ask its author for another name.",
            )
