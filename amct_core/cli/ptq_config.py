"""``amct ptq config``: write the config of what to quantize after training, and how."""

from __future__ import annotations

from typing import Any

import click

from amct_core.cli.config_report import print_report
from amct_core.cli.output import json_option
from amct_core.config.values import given


@click.command("config")
@click.argument("model")
@click.argument("weights")
@click.option("-o", "--output", "config_file", required=True, help="The config (JSON) to write.")
@click.option("--simple", help="A simplified config (quant.cfg) to derive it from.")
@click.option(
    "--skip-layer", "skip_layers", multiple=True, help="A layer to leave in float; repeatable."
)
@click.option("--batch-num", type=click.IntRange(min=1), help="Batches to calibrate with.")
@click.option(
    "--symmetric",
    "activation_offset",
    flag_value=False,
    type=bool,
    default=None,
    help="Quantize activations without an offset.",
)
@click.option("--act-algo", help="Calibrator of every layer.")
@json_option
def command(
    model: str,
    weights: str,
    config_file: str,
    simple: str | None,
    skip_layers: tuple[str, ...],
    as_json: bool,
    **choices: Any,
) -> None:
    """Write the config of what to quantize in MODEL with WEIGHTS, for you to edit.

    A simplified config says what the other options say, so there is either; 'amct plugins' lists
    the calibrators.
    """
    from amct_core.config import ptq_simplified
    from amct_core.ptq import configuration

    said = given(**choices, skip_layers=skip_layers or None)
    if simple is not None and said:
        names = {"activation_offset": "--symmetric", "skip_layers": "--skip-layer"}
        option = next(iter(said))
        raise click.UsageError(
            f"{names.get(option, '--' + option.replace('_', '-'))} and --simple exclude each "
            f"other: '{simple}' says it."
        )
    simplified = (
        configuration.simplified_config(**said) if simple is None else ptq_simplified.read(simple)
    )
    report = configuration.create_ptq_config(model, weights, config_file, simplified)
    print_report(config_file, report, as_json)
