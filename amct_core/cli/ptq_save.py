"""``amct ptq save``: turn a calibrated model into its saved forms."""

from __future__ import annotations

import click

from amct_core.cli.input_shapes import input_shape_option
from amct_core.cli.output import json_option, print_files
from amct_core.cli.saved_model import saved_model_options


@click.command("save")
@click.argument("model")
@click.argument("weights")
@click.option("-c", "--config", "config_file", required=True, help="The config of calibration.")
@click.option("--record", "record_file", required=True, help="The record that it completed.")
@input_shape_option
@saved_model_options
@json_option
def command(
    model: str,
    weights: str,
    config_file: str,
    record_file: str,
    input_shapes: dict[str, tuple[int, ...]],
    save_path: str,
    save_type: str,
    backend: str | None,
    as_json: bool,
) -> None:
    """Save MODEL with WEIGHTS, the original ones, with what calibration has recorded."""
    from amct_core.ptq import workflow

    network = workflow.reopen(config_file, model, weights, record_file)
    saved = workflow.save(network, save_type, save_path, backend, input_shapes=input_shapes)
    print_files(saved, as_json)
