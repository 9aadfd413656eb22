"""What commands print: JSON for programs, aligned columns for people, both on standard output."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def json_option(command: Command) -> Command:
    """Add ``--json``, passed to the command as ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def print_json(document: object) -> None:
    """Print ``document`` as JSON."""
    click.echo(json.dumps(document, indent=2))


def print_columns(rows: Sequence[Sequence[str]], indent: str = "") -> None:
    """Print rows with aligned columns; the last column is as long as it is."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths))
        click.echo((indent + line).rstrip())


def print_files(paths: Sequence[str], as_json: bool) -> None:
    """Print the files that a command has written, one per line or as ``{"files": [...]}``."""
    if as_json:
        print_json({"files": list(paths)})
    else:
        for path in paths:
            click.echo(path)
