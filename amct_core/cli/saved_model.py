"""The options of every command that saves a model."""

from __future__ import annotations

from typing import Any, Callable, TypeVar

import click

from amct_core.file_names import SAVE_TYPES

C = TypeVar("C", bound=Callable[..., Any])


def saved_model_options(command: C) -> C:
    """Add ``--save-path``, ``--save-type`` and ``--backend`` to a command, in that order."""
    options = (
        click.option(
            "--save-path",
            required=True,
            help="Folder and prefix of the files, such as result/model; no prefix after a /.",
        ),
        click.option(
            "--save-type",
            type=click.Choice(SAVE_TYPES),
            default="Both",
            show_default=True,
            help="The model to simulate with, the model to deploy, or both.",
        ),
        click.option("--backend", help="Deploy backend; by default the config's, else ascend."),
    )
    for option in reversed(options):
        command = option(command)
    return command
