"""``amct ptq calibrate``: write the model to calibrate, and run it in Caffe."""

from __future__ import annotations

from typing import Optional

import click

from amct_core.cli.output import json_option, print_files


@click.command("calibrate")
@click.argument("model")
@click.argument("weights")
@click.option("-c", "--config", "config_file", required=True, help="The config (amct ptq config).")
@click.option(
    "-o",
    "--output",
    "folder",
    required=True,
    help="Folder for modified_model.prototxt, modified_model.caffemodel and record.txt.",
)
@click.option(
    "--data",
    help="An .npz file with one array per input; by default the network's own data layers.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    help="Samples of one batch of --data; by default all of them, divided by batch_num.",
)
@json_option
def command(
    model: str,
    weights: str,
    config_file: str,
    folder: str,
    data: Optional[str],
    batch_size: Optional[int],
    as_json: bool,
) -> None:
    """Calibrate MODEL with WEIGHTS in Caffe: batch_num forwards complete the record.

    'amct ptq save' goes on from there.
    """
    from amct_caffe.calibration import calibrate

    if batch_size is not None and data is None:
        raise click.UsageError("give --batch-size with --data, and only with it.")
    files = calibrate(model, weights, config_file, folder, data, batch_size)
    print_files(files, as_json)
