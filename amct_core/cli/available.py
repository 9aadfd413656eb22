"""Which commands there are: what plugins describe, before anything of it is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs

from amct_core.errors import AmctError, PluginError
from amct_core.extensions import CliCommand
from amct_core.plugins import described, registries
from amct_core.registry import Registry

if TYPE_CHECKING:
    import click


@attrs.frozen
class AvailableCommands:
    """The commands that can be called.

    Attributes:
        registry: the commands by their full name.
    """

    registry: Registry[CliCommand]

    @classmethod
    def collect(cls) -> AvailableCommands:
        """Ask the installed plugins."""
        return cls(registries().cli_commands)

    def warnings(self) -> Iterator[str]:
        """Yield why commands of plugins are left out."""
        for plugin, error in self.registry.left_out.items():
            yield f"{error} The commands of plugin '{plugin}' are left out."

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
