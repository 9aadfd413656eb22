"""Which commands there are: what plugins describe, before anything of it is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from amct_core.errors import AmctError, PluginError
from amct_core.extensions import CliCommand
from amct_core.plugins import BUILTIN, described, registries
from amct_core.registry import Registry

if TYPE_CHECKING:
    import click


@attrs.frozen
class AvailableCommands:
    """The commands that can be called.

    Attributes:
        registry: the commands by their full name.
        error: why these are only the commands of the core, or None.  A plugin that breaks the list
            of commands must not take away those that diagnose it.
    """

    registry: Registry[CliCommand]
    error: PluginError | None = None

    @classmethod
    def collect(cls) -> AvailableCommands:
        """Ask the installed plugins."""
        try:
            registry = registries().cli_commands
            _check_groups(registry)
        except PluginError as error:
            return cls(_core_commands(), error)
        return cls(registry)

    def below(self, prefix: str) -> dict[str, CliCommand | None]:
        """Return what may follow ``prefix`` ("" for ``amct`` itself); None stands for a group."""
        listing: dict[str, CliCommand | None] = {}
        for command in self.registry:
            if command.group == (prefix or None):
                listing[command.name.split(" ")[-1]] = command
            elif not prefix and command.group is not None:
                listing[command.group] = None
        return listing

    def load(self, entry: CliCommand) -> click.Command:
        """Import a command.

        Raises:
            PluginError: that fails, or gives something else.
        """
        import click

        origin = f"command '{entry.name}' of plugin '{self.registry.provider(entry.name)}'"
        try:
            command = entry.load()
        except AmctError:
            raise
        except Exception as error:
            raise PluginError(
                f"{origin} failed to load with {described(error)}",
                remedy="Run 'amct doctor' to see what is missing.",
            ) from error
        if not isinstance(command, click.Command):
            raise PluginError(
                f"{origin} loads {command!r}; expected a click.Command.",
                remedy="Uninstall the plugin, or tell its author.",
            )
        return command


def _core_commands() -> Registry[CliCommand]:
    from amct_core.cli.commands import COMMANDS

    registry: Registry[CliCommand] = Registry("command")
    for command in COMMANDS:
        registry.add(command, BUILTIN)
    return registry


def _check_groups(registry: Registry[CliCommand]) -> None:
    """Refuse a command that has the name of a group."""
    for command in registry:
        if command.group is not None and command.group in registry:
            raise PluginError(
                f"plugin '{registry.provider(command.group)}' provides the command "
                f"'{command.group}', which is the group of '{command.name}' from plugin "
                f"'{registry.provider(command.name)}'.",
                remedy="Uninstall one of them, or ask its author for another name.",
            )
