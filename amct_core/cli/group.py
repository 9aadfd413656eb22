"""A click group whose sub-commands are loaded when they are called, and not before."""

from __future__ import annotations

import copy
import functools
from typing import Any

import click

from amct_core.cli.apart import supervised
from amct_core.cli.available import AvailableCommands
from amct_core.cli.missing_commands import missing_command
from amct_core.entry_points import are_own
from amct_core.plugins import BUILTIN

_CALLED = f"{__name__}.called"

GROUP_HELP = {
    "ptq": "Post-training quantization, step by step.",
    "qat": "Quantization-aware training, step by step.",
}


class CommandGroup(click.Group):
    """The commands that plugins registered below one prefix ("" for ``amct`` itself)."""

    def __init__(self, *args: Any, prefix: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.prefix = prefix

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of commands and groups, sorted."""
        return sorted(_available(ctx).below(self.prefix))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command; None if there is none of this name."""
        available = _available(ctx)
        listing = available.below(self.prefix)
        if cmd_name not in listing:
            return None
        described = listing[cmd_name]
        if described is None:
            return CommandGroup(cmd_name, prefix=cmd_name, help=_group_help(cmd_name))
        command = available.load(described)
        _note(ctx, available.registry.provider(described.name), described.name)
        if described.writes_log:
            command = _logging(command)
        return supervised(command) if described.runs_framework else command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called.

        Raises:
            EnvironmentUnsuitableError: the distribution that brings it is not installed.
        """
        name = args[0]
        if name not in _available(ctx).below(self.prefix):
            error = missing_command(f"{self.prefix} {name}".strip())
            if error is not None:
                raise error
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without loading one."""
        rows = [
            (name, _group_help(name) if described is None else described.help)
            for name, described in sorted(_available(ctx).below(self.prefix).items())
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _available(ctx: click.Context) -> AvailableCommands:
    """Return the commands of this call of ``amct``, asked for and warned about once."""
    available = ctx.meta.get(__name__)
    if available is None:
        available = ctx.meta[__name__] = AvailableCommands.collect()
        for warning in available.warnings():
            click.echo(f"Warning: {warning}", err=True)
    assert isinstance(available, AvailableCommands)
    return available


def _note(ctx: click.Context, plugin: str, command: str) -> None:
    is_ours = plugin == BUILTIN or are_own(plugin)
    ctx.meta[_CALLED] = None if is_ours else (plugin, command)


def called_of_plugin(ctx: click.Context) -> tuple[str, str] | None:
    """Return the plugin and the name of the command that is called; None for one of ours."""
    called: tuple[str, str] | None = ctx.meta.get(_CALLED)
    return called


def _group_help(name: str) -> str:
    return GROUP_HELP.get(name, f"Commands of '{name}'.")


def _logging(command: click.Command) -> click.Command:
    """Return ``command`` with logging configured before its body runs, but not for its --help."""
    body = command.callback
    if body is None:
        return command

    @functools.wraps(body)
    def configured(*args: Any, **kwargs: Any) -> Any:
        from amct_core.logging import configure

        configure()
        return body(*args, **kwargs)

    logged = copy.copy(command)
    logged.callback = configured
    return logged
