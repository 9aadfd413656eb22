"""What commands print: JSON for programs, aligned columns for people, both on standard output."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from amct_core.cli.folding import USUAL_WIDTH, folded, in_columns, names_in_lines, output_width

if TYPE_CHECKING:
    from rich.console import Console

Command = TypeVar("Command", bound=Callable[..., Any])

MOST_LINES_OF_NAMES = 3
"""How many lines the names take of what is the same for many; ``--json`` lists all."""

_UNLIMITED = 10_000


def json_option(command: Command) -> Command:
    """Add ``--json``, passed to the command as ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def print_json(document: object) -> None:
    """Print ``document`` as JSON."""
    click.echo(json.dumps(document, indent=2))


def print_columns(rows: Sequence[Sequence[str]], indent: str = "") -> None:
    """Print rows with aligned columns.

    On a terminal that is too narrow, cells fold; in a pipe, a line is as long as it needs to be.
    """
    for line in in_columns(rows, indent, output_width()):
        click.echo(line)


def print_sentence(text: str, indent: str = "") -> None:
    """Print a sentence; on a terminal that is too narrow, it folds below its indentation."""
    width = output_width()
    for line in [text] if width is None else folded(text, max(width - len(indent), 1)):
        click.echo(f"{indent}{line}")


def print_names(
    names: Sequence[str], indent: str = "  ", most_lines: int | None = MOST_LINES_OF_NAMES
) -> None:
    """Print names behind each other, folded between names.

    Args:
        names: any texts.
        indent: before each line.
        most_lines: for how many there is room; how many others there are stands below.  None: for
            all.
    """
    width = (output_width() or USUAL_WIDTH) - len(indent)
    lines, left = names_in_lines(names, width, most_lines)
    for line in lines:
        click.echo(f"{indent}{line}")
    if left:
        click.echo(f"{indent}and {left} more (--json lists all)")


def counted(count: int, word: str) -> str:
    """Return a number of things: ``1 layer``, ``2 layers``."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def table_console() -> Console:
    """Return where tables are printed: as wide as the terminal or, in a pipe, as they need."""
    from rich.console import Console

    return Console(width=output_width() or _UNLIMITED)


def print_files(paths: Sequence[str], as_json: bool) -> None:
    """Print the files that a command has written, one per line or as ``{"files": [...]}``."""
    if as_json:
        print_json({"files": list(paths)})
    else:
        for path in paths:
            click.echo(path)
