"""``amct ptq config``: write the config of what to quantize after training, and how."""

from __future__ import annotations

from typing import Any

import click

from amct_core.cli.config_report import print_report
from amct_core.cli.output import json_option
from amct_core.cli.ptq_choices import ptq_choice_options, said, simplified_config


@click.command("config")
@click.argument("model")
@click.argument("weights")
@click.option("-o", "--output", "config_file", required=True, help="The config (JSON) to write.")
@ptq_choice_options
@json_option
def command(
    model: str,
    weights: str,
    config_file: str,
    simple: str | None,
    as_json: bool,
    **choices: Any,
) -> None:
    """Write the config of what to quantize in MODEL with WEIGHTS, for you to edit.

    A simplified config says what the other options say, so there is either; 'amct plugins' lists
    the calibrators.
    """
    from amct_core.ptq import configuration

    simplified = simplified_config(simple, said(**choices))
    report = configuration.create_ptq_config(model, weights, config_file, simplified)
    print_report(config_file, report, as_json)
