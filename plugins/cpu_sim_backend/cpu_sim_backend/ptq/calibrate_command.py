"""``amct ptq calibrate``: find the factors of the activations."""

from __future__ import annotations

import os
from typing import Optional

import click

from amct_core.cli.output import json_option, print_files
from cpu_sim_backend.ptq.options import calibration_options, data_options


@click.command("calibrate")
@click.argument("model")
@click.argument("weights")
@click.option("-c", "--config", "config_file", required=True, help="The config (amct ptq config).")
@click.option(
    "-o",
    "--output",
    "folder",
    required=True,
    help="Folder for record.txt, and, in Caffe, modified_model.prototxt and .caffemodel.",
)
@calibration_options
@json_option
def command(
    model: str,
    weights: str,
    config_file: str,
    folder: str,
    data: Optional[str],
    preprocess: Optional[str],
    batch_size: Optional[int],
    engine: Optional[str],
    shift_n_algo: Optional[str],
    as_json: bool,
) -> None:
    """Calibrate MODEL with WEIGHTS: batch_num batches complete the record.

    Runs in Caffe, or in the simulator, which needs none; 'amct ptq save' goes on from there.
    """
    from amct_core.ptq import workflow
    from cpu_sim_backend.ptq.calibrating import prepare

    options = data_options(data, preprocess, batch_size)
    record = os.path.join(folder, "record.txt")
    network = workflow.reopen(config_file, model, weights, record)
    done = prepare(network, options, batch_size, engine, shift_n_algo).run(folder)
    if done.difference is not None:
        click.echo(str(done.difference), err=as_json)
    print_files(done.files, as_json)
