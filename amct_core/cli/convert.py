"""``amct convert``: quantize a model with the factors of a record."""

from __future__ import annotations

import click

from amct_core.cli.output import json_option, print_files


@click.command("convert")
@click.argument("model")
@click.argument("weights")
@click.option("--record", "record_file", required=True, help="The record with the factors.")
@click.option(
    "--save-path",
    required=True,
    help="Folder and prefix of the files, such as result/model; no prefix after a /.",
)
@click.option("--backend", help="Deploy backend.")
@json_option
def command(
    model: str, weights: str, record_file: str, save_path: str, backend: str | None, as_json: bool
) -> None:
    """Save MODEL with WEIGHTS, quantized with the factors of a record.

    BatchNorm and Scale are fused first, except into layers whose entry says skip_fusion. Layers
    without factors stay in float.
    """
    from amct_core.ptq import workflow

    print_files(workflow.convert(model, weights, record_file, save_path, backend), as_json)
