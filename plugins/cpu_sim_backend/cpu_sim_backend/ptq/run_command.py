"""``amct ptq run``: all steps in turn."""

from __future__ import annotations

import os
from typing import Any, Optional, Tuple

import click

from amct_core.cli.edit_options import EPILOG, edit_options, edits, tell_not_applied
from amct_core.cli.output import json_option, print_files
from amct_core.cli.ptq_choices import option_name, ptq_choice_options, said, simplified_config
from amct_core.file_names import SAVE_TYPES
from cpu_sim_backend.ptq.options import (
    calibration_options,
    data_options,
    improvement_options,
)


@click.command("run", epilog=EPILOG)
@click.argument("model")
@click.argument("weights")
@click.option("-o", "--output", "folder", required=True, help="Folder for everything written.")
@click.option("-c", "--config", "config_file", help="A config to use; default: a new one.")
@ptq_choice_options
@edit_options
@calibration_options
@improvement_options
@click.option(
    "--save-type",
    type=click.Choice(SAVE_TYPES),
    default="Both",
    show_default=True,
    help="The model to simulate with, the model to deploy, or both.",
)
@click.option("--backend", help="Deploy backend; default: ascend.")
@json_option
def command(
    model: str,
    weights: str,
    folder: str,
    config_file: Optional[str],
    simple: Optional[str],
    only: Tuple[str, ...],
    advice: Tuple[str, ...],
    skip: Tuple[str, ...],
    assignments: Tuple[str, ...],
    data: Optional[str],
    preprocess: Optional[str],
    batch_size: Optional[int],
    engine: Optional[str],
    shift_n_algo: Optional[str],
    equalize: bool,
    bias_correction: bool,
    weight_rounding: Optional[str],
    save_type: str,
    backend: Optional[str],
    as_json: bool,
    **choices: Any,
) -> None:
    """Quantize MODEL with WEIGHTS after training: config, calibrate, save.

    Writes config.json (unless there is one already: -c), record.txt and result/model_* into the
    folder, and, in Caffe, modified_model.*.  Needs no Caffe.

    What --equalize, --bias-correction and --weight-rounding change is in the saved models alone:
    'amct ptq save' with the original weights and the record does not give the same.
    """
    from amct_core.config import ptq_json
    from amct_core.ptq import configuration, workflow
    from cpu_sim_backend.ptq import improving
    from cpu_sim_backend.ptq.calibrating import prepare

    options = data_options(data, preprocess, batch_size)
    improvements = improving.choose(equalize, bias_correction, weight_rounding, options)
    chosen = said(**choices)
    changes = edits("ptq", only, advice, skip, assignments)
    tell_not_applied(changes, "ptq")
    written, made = [], None
    if config_file is None:
        config_file = os.path.join(folder, "config.json")
        simplified = simplified_config(simple, chosen)
        made = configuration.ptq_config(model, weights, simplified, edits=changes).config
        written.append(config_file)
    elif simple is not None or chosen or changes.said:
        names = [*changes.said, *map(option_name, chosen)]
        option = "--simple" if simple is not None else names[0].split()[0]
        raise click.UsageError(f"{option} and --config exclude each other.")
    record = os.path.join(folder, "record.txt")
    config = ptq_json.read(config_file) if made is None else made
    network = workflow.reopen_with(config, config_file, model, weights, record)
    network = workflow.prepared(network, improvements)
    calibration = prepare(network, options, batch_size, engine, shift_n_algo)
    if made is not None:
        ptq_json.write(config_file, made)
    done = calibration.run(folder)
    if done.difference is not None:
        click.echo(str(done.difference), err=as_json)
    quantized = improving.quantized(network, improvements, options, batch_size)
    prefix = os.path.join(folder, "result", "model")
    saved = workflow.save_quantized(
        network, quantized, save_type, prefix, backend, calibrated_shapes=done.input_shapes
    )
    print_files((*written, *done.files, *saved), as_json)
