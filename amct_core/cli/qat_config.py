"""``amct qat config``: write the config of what to quantize, and how."""

from __future__ import annotations

from typing import Any

import click

from amct_core.cli.config_choices import ConfigChoices
from amct_core.cli.config_report import print_report
from amct_core.cli.output import json_option
from amct_core.config.model import BATCH_NORM_MODES


@click.command("config")
@click.argument("model")
@click.argument("weights")
@click.option("-o", "--output", "config_file", required=True, help="The config (JSON) to write.")
@click.option("--simple", help="A simplified config (quant.cfg) to derive it from.")
@click.option("--activation-algo", help="Activation algorithm of every layer.")
@click.option("--init-algo", help="Calibrator that finds the first clip bounds of every layer.")
@click.option("--shift-n-algo", help="Search for the shift factor N.")
@click.option("--batch-num", type=click.IntRange(min=1), help="Batches to initialise with.")
@click.option(
    "--batch-norm", type=click.Choice(BATCH_NORM_MODES), help="What becomes of BatchNorm."
)
@click.option("--backend", "deploy_backend", help="Deploy backend.")
@click.option("--solver", help="The solver that will train: the states that it says count.")
@json_option
def command(
    model: str,
    weights: str,
    config_file: str,
    simple: str | None,
    solver: str | None,
    as_json: bool,
    **choices: Any,
) -> None:
    """Write the config of what to quantize in MODEL with WEIGHTS, for you to edit.

    Options override what the simplified config says; 'amct plugins' lists the names they take.
    """
    from amct_core import workflow
    from amct_core.config import json_format
    from amct_core.files import write_atomically
    from amct_core.plugins import registries

    chosen = ConfigChoices(**choices)
    chosen.check(registries())  # before anything is written
    report = workflow.create_config(model, weights, config_file, simple, solver_file=solver)
    if chosen != ConfigChoices():
        # Once more, without a warning that it is overwritten.
        write_atomically(config_file, json_format.format_config(chosen.apply(report.config)))
    print_report(config_file, report, as_json)
