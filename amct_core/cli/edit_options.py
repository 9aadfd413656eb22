"""The options that change a config layer by layer: ``--only --apply --skip --set``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, TypeVar

import click

if TYPE_CHECKING:
    from amct_core.config.edits import Edits

F = TypeVar("F", bound=Callable[..., Any])

EPILOG = (
    "LAYERS is the name of a layer, a pattern ('conv*'), type:TYPE (type:InnerProduct, "
    "type:*Convolution), or '*' for all. Whatever their order, --only is applied first, then "
    "--apply, --skip and --set; each may be repeated."
)


def edit_options(command: F) -> F:
    """Add the four options to a command, passed to it as :func:`edits` takes them."""
    options = (
        click.option(
            "--only",
            metavar="LAYERS",
            multiple=True,
            help="Layers to quantize; every other one is left in float.",
        ),
        click.option(
            "--apply",
            "advice",
            metavar="FILE",
            multiple=True,
            help="Advice to follow, as amct report writes it (JSON).",
        ),
        click.option("--skip", metavar="LAYERS", multiple=True, help="Layers to leave in float."),
        click.option(
            "--set",
            "assignments",
            metavar="[LAYERS.]KEY=VALUE",
            multiple=True,
            help="Set a key of the config, or of the entries of layers; null removes it.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def base_option(command: F) -> F:
    """Add ``--base``, passed to the command as ``base_file``."""
    return click.option(
        "--base",
        "base_file",
        metavar="FILE",
        help="A config to begin with; it stays as it is.  [default: a new one]",
    )(command)


def tell_not_applied(edits: Edits, form: str) -> None:
    """Say on standard error which advice is not applied to this form of config."""
    for each in edits.not_applied(form):
        click.echo(f"Not applied: {each}", err=True)


def edits(
    form: str,
    only: tuple[str, ...],
    advice: tuple[str, ...],
    skip: tuple[str, ...],
    assignments: tuple[str, ...],
    first: tuple[str, ...] = (),
) -> Edits:
    """Return what the options say.

    Args:
        form: of the config: ``qat`` or ``ptq``.
        only, advice, skip, assignments: the values of the four options.
        first: further assignments, which come before the others.

    Raises:
        ConfigError: an assignment or a file cannot be read.
    """
    from amct_core.config import advice as advices
    from amct_core.config import assignments as parser
    from amct_core.config import forms
    from amct_core.config.edits import Edits
    from amct_core.config.selectors import Selector

    keys = {"qat": forms.QAT.keys, "ptq": forms.PTQ.keys}[form]
    return Edits(
        only=tuple(Selector(each, f"--only {each}") for each in only),
        advice=tuple(map(advices.read, advice)),
        skip=tuple(Selector(each, f"--skip {each}") for each in skip),
        assignments=tuple(parser.parse(each, keys) for each in (*first, *assignments)),
    )
