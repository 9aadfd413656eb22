"""``amct qat run``: all steps in turn."""

from __future__ import annotations

import os
from typing import Mapping, Optional, Tuple

import click

from amct_core.cli.input_shapes import input_shape_option
from amct_core.cli.output import json_option, print_files
from amct_core.errors import EnvironmentUnsuitableError


@click.command("run")
@click.argument("model")
@click.argument("weights")
@click.option("--solver", required=True, help="A solver's prototxt; its net is replaced.")
@click.option("-o", "--output", "folder", required=True, help="Folder for everything written.")
@click.option("-c", "--config", "config_file", help="A config to use; default: a new one.")
@click.option("--simple", help="A simplified config (text proto) to derive the config from.")
@click.option("--backend", help="Deploy backend; default: as the config says.")
@input_shape_option
@json_option
def command(
    model: str,
    weights: str,
    solver: str,
    folder: str,
    config_file: Optional[str],
    simple: Optional[str],
    backend: Optional[str],
    input_shapes: Mapping[str, Tuple[int, ...]],
    as_json: bool,
) -> None:
    """Quantize MODEL with WEIGHTS: config, insert, train, save.

    Writes config.json, modified_model.*, record.txt, solver.prototxt (a copy of the solver with net
    and snapshot_prefix redirected), snapshots and result/model_* into the folder.
    """
    from amct_caffe.runtime.ranks.launch import detect

    launch = detect(os.environ)
    if launch is not None:
        raise EnvironmentUnsuitableError(
            f"{launch.size} processes would write the same files; expected one.",
            remedy=(
                "Only training runs on several processes: amct qat insert, then mpiexec -n "
                f"{launch.size} amct qat train, then amct qat save."
            ),
        )
    from amct_caffe.training import workflow as training

    written = training.run_all(
        model,
        weights,
        solver,
        folder,
        config_file,
        simple,
        backend,
        input_shapes=input_shapes,
    )
    print_files(written, as_json)
