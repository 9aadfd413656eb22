"""The reference of the commands: what ``amct ... --help`` says, as Markdown."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Iterator, List, Tuple

import click

from amct_core.cli.group import CommandGroup
from amct_core.cli.main import cli

_SPECIAL = re.compile(r"([\\*_\[\]<>`$|~^])")


def commands(page: Path, arguments: str) -> str:
    """Return a section for every command, groups last, and in each the options."""
    assert isinstance(cli, CommandGroup)
    context = click.Context(cli, info_name="amct")
    sections = [_section(path, command) for path, command in _walk(cli, context, "amct")]
    return "\n\n".join([_section("amct", cli), *sections])


def _walk(
    group: CommandGroup, context: click.Context, path: str
) -> Iterator[Tuple[str, click.Command]]:
    found = [(name, group.get_command(context, name)) for name in group.list_commands(context)]
    for name, command in found:
        if command is not None and not isinstance(command, CommandGroup):
            yield f"{path} {name}", command
    for name, command in found:
        if isinstance(command, CommandGroup):
            inner = click.Context(command, parent=context, info_name=name)
            yield from _walk(command, inner, f"{path} {name}")


def _section(path: str, command: click.Command) -> str:
    context = click.Context(command, info_name=path)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    parts = [f"## {path}", f"```text\n{usage}\n```", *_paragraphs(command.help), *_options(command)]
    return "\n\n".join([*parts, *_paragraphs(command.epilog)])


def _options(command: click.Command) -> List[str]:
    """Return the options as items of a definition list."""
    context = click.Context(command)
    records = (param.get_help_record(context) for param in command.get_params(context))
    # `--help` is the same everywhere.
    kept = [record for record in records if record is not None and "--help" not in record[0]]
    return [f"`{names}`\n: {escaped(text) or 'No more is said.'}" for names, text in kept]


def _paragraphs(text: str | None) -> List[str]:
    r"""Return the paragraphs of a help text; one that begins with ``\b`` keeps its lines."""
    found = []
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text or "")):
        if paragraph.startswith("\b"):
            found.append(f"```text\n{paragraph[1:].strip()}\n```")
        elif paragraph:
            found.append(escaped(" ".join(paragraph.split())))
    return found


def escaped(text: str) -> str:
    """Return plain text so that Markdown shows it as it is."""
    return _SPECIAL.sub(r"\\\1", text)
