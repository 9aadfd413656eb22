"""The options that say what is quantized after training, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, TypeVar

import click

from amct_core.config.values import given

if TYPE_CHECKING:
    from amct_core.config.ptq_simplified import SimplifiedPtqConfig

C = TypeVar("C", bound=Callable[..., Any])

_OPTIONS = {"activation_offset": "--symmetric", "skip_layers": "--skip-layer"}


def ptq_choice_options(command: C) -> C:
    """Add ``--simple`` and what excludes it to a command, in that order."""
    options = (
        click.option("--simple", help="A simplified config (quant.cfg) to derive it from."),
        click.option(
            "--skip-layer",
            "skip_layers",
            multiple=True,
            help="A layer to leave in float; repeatable.",
        ),
        click.option("--batch-num", type=click.IntRange(min=1), help="Batches to calibrate with."),
        click.option(
            "--symmetric",
            "activation_offset",
            flag_value=False,
            type=bool,
            default=None,
            help="Quantize activations without an offset.",
        ),
        click.option("--act-algo", help="Calibrator of every layer."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def said(skip_layers: tuple[str, ...], **choices: Any) -> dict[str, Any]:
    """Return what the options beside ``--simple`` say."""
    return given(**choices, skip_layers=skip_layers or None)


def option_name(choice: str) -> str:
    """Return the option of a key of :func:`said`."""
    return _OPTIONS.get(choice, f"--{choice.replace('_', '-')}")


def simplified_config(simple: str | None, choices: dict[str, Any]) -> SimplifiedPtqConfig:
    """Return what a config is derived from.

    Args:
        simple: the file of ``--simple``.
        choices: what :func:`said` returned.

    Raises:
        click.UsageError: there is both.
        ConfigError: the file, or a choice, is not valid.
    """
    from amct_core.config import ptq_simplified
    from amct_core.ptq import configuration

    if simple is None:
        return configuration.simplified_config(**choices)
    if choices:
        raise click.UsageError(
            f"{option_name(next(iter(choices)))} and --simple exclude each other: '{simple}' says "
            "it."
        )
    return ptq_simplified.read(simple)
