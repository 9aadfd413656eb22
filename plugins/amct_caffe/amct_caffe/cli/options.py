"""Options that several commands have."""

from __future__ import annotations

from typing import Any, Callable, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def metrics_option(command: Command) -> Command:
    """Add ``--metrics``."""
    return click.option(
        "--metrics",
        help="A file that gets the numbers of the training, a line of JSON each time.",
    )(command)
