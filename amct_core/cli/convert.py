"""``amct convert``: quantize a model with the factors of a record."""

from __future__ import annotations

import click

from amct_core.cli.input_shapes import input_shape_option
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
@input_shape_option
@json_option
def command(
    model: str,
    weights: str,
    record_file: str,
    save_path: str,
    backend: str | None,
    input_shapes: dict[str, tuple[int, ...]],
    as_json: bool,
) -> None:
    """Save MODEL with WEIGHTS, quantized with the factors of a record.

    BatchNorm and Scale are fused first, except into layers whose entry says skip_fusion. Layers
    without factors stay in float.
    """
    from amct_core.ptq import workflow

    saved = workflow.convert(
        model, weights, record_file, save_path, backend, input_shapes=input_shapes
    )
    print_files(saved, as_json)
