"""``amct ptq config``: write the config of what to quantize after training, and how."""

from __future__ import annotations

from typing import Any

import click

from amct_core.cli.config_report import print_report
from amct_core.cli.edit_options import EPILOG, base_option, edit_options, edits
from amct_core.cli.output import json_option
from amct_core.cli.ptq_choices import option_name, ptq_choice_options, said, simplified_config


@click.command("config", epilog=EPILOG)
@click.argument("model")
@click.argument("weights")
@click.option("-o", "--output", "config_file", required=True, help="The config (JSON) to write.")
@ptq_choice_options
@base_option
@edit_options
@json_option
def command(
    model: str,
    weights: str,
    config_file: str,
    simple: str | None,
    base_file: str | None,
    only: tuple[str, ...],
    advice: tuple[str, ...],
    skip: tuple[str, ...],
    assignments: tuple[str, ...],
    as_json: bool,
    **choices: Any,
) -> None:
    """Write the config of what to quantize in MODEL with WEIGHTS, for you to edit.

    A simplified config says what --skip-layer, --batch-num, --symmetric and --act-algo say, so
    there is either, and neither with --base.  --only, --apply, --skip and --set change any of them.
    'amct plugins' lists the calibrators.
    """
    from amct_core.ptq import configuration

    chosen = said(**choices)
    if base_file is not None and (simple is not None or chosen):
        option = "--simple" if simple is not None else option_name(next(iter(chosen)))
        raise click.UsageError(f"{option} and --base exclude each other: use --skip or --set.")
    changes = edits("ptq", only, advice, skip, assignments)
    simplified = simplified_config(simple, chosen)
    report = configuration.create_ptq_config(
        model, weights, config_file, simplified, base_file=base_file, edits=changes
    )
    print_report(config_file, report, as_json, changes.not_applied("ptq"))
