"""``amct qat config``: write the config of what to quantize, and how."""

from __future__ import annotations

from typing import Any

import click

from amct_core.cli.config_choices import ConfigChoices
from amct_core.cli.config_report import print_report
from amct_core.cli.edit_options import EPILOG, base_option, edit_options, edits
from amct_core.cli.output import json_option
from amct_core.config.model import BATCH_NORM_MODES


@click.command("config", epilog=EPILOG)
@click.argument("model")
@click.argument("weights")
@click.option("-o", "--output", "config_file", required=True, help="The config (JSON) to write.")
@click.option("--simple", help="A simplified config (quant.cfg) to derive it from.")
@click.option("--activation-algo", help="Activation algorithm of every layer.")
@click.option("--weight-algo", help="Weight algorithm of every layer that has weights.")
@click.option("--init-algo", help="Calibrator that finds the first clip bounds of every layer.")
@click.option("--shift-n-algo", help="Search for the shift factor N.")
@click.option("--batch-num", type=click.IntRange(min=1), help="Batches to initialise with.")
@click.option(
    "--batch-norm", type=click.Choice(BATCH_NORM_MODES), help="What becomes of BatchNorm."
)
@click.option("--backend", "deploy_backend", help="Deploy backend.")
@click.option("--solver", help="The solver that will train: the states that it says count.")
@base_option
@edit_options
@json_option
def command(
    model: str,
    weights: str,
    config_file: str,
    simple: str | None,
    solver: str | None,
    base_file: str | None,
    only: tuple[str, ...],
    advice: tuple[str, ...],
    skip: tuple[str, ...],
    assignments: tuple[str, ...],
    as_json: bool,
    **choices: Any,
) -> None:
    """Write the config of what to quantize in MODEL with WEIGHTS, for you to edit.

    Options override what the simplified config or --base says; 'amct plugins' lists the names they
    take.
    """
    from amct_core import workflow
    from amct_core.plugins import registries

    if simple is not None and base_file is not None:
        raise click.UsageError("--simple and --base exclude each other.")
    chosen = ConfigChoices(**choices)
    chosen.check(registries())  # before anything is written
    said = edits("qat", only, advice, skip, assignments, first=chosen.assignments())
    report = workflow.create_config(
        model,
        weights,
        config_file,
        simple,
        solver_file=solver,
        base_file=base_file,
        edits=said,
    )
    print_report(config_file, report, as_json, said.not_applied("qat"))
