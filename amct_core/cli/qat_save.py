"""``amct qat save``: turn a trained model into its saved forms."""

from __future__ import annotations

from typing import Mapping, Tuple

import click

from amct_core.cli.input_shapes import input_shape_option
from amct_core.cli.output import json_option, print_files
from amct_core.cli.saved_model import saved_model_options


@click.command("save")
@click.argument("model")
@click.argument("weights")
@click.option("-c", "--config", "config_file", help="The config that MODEL was made with.")
@click.option(
    "--record", "record_file", help="The record that training filled; by default MODEL's own."
)
@saved_model_options
@click.option("--solver", help="The solver that has trained; its states must be MODEL's.")
@input_shape_option
@json_option
def command(
    model: str,
    weights: str,
    config_file: str | None,
    record_file: str | None,
    save_path: str,
    save_type: str,
    backend: str | None,
    solver: str | None,
    input_shapes: Mapping[str, Tuple[int, ...]],
    as_json: bool,
) -> None:
    """Save the modified MODEL with trained WEIGHTS, a snapshot of it."""
    from amct_core import workflow

    written = workflow.save(
        model,
        weights,
        save_path,
        save_type,
        record_file,
        config_file,
        backend,
        solver_file=solver,
        input_shapes=input_shapes,
    )
    print_files(written, as_json)
