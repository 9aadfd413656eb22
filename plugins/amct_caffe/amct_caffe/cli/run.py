"""``amct qat run``: all steps in turn."""

from __future__ import annotations

import os
import shlex
import sys
from typing import Mapping, Optional, Tuple

import click

from amct_caffe.cli.options import metrics_option
from amct_core.cli.edit_options import EPILOG, edit_options, edits, tell_not_applied
from amct_core.cli.input_shapes import input_shape_option
from amct_core.cli.output import json_option, print_files
from amct_core.errors import EnvironmentUnsuitableError


@click.command("run", epilog=EPILOG)
@click.argument("model")
@click.argument("weights")
@click.option("--solver", required=True, help="A solver's prototxt; its net is replaced.")
@click.option("-o", "--output", "folder", required=True, help="Folder for everything written.")
@click.option("-c", "--config", "config_file", help="A config to use; default: a new one.")
@click.option("--simple", help="A simplified config (text proto) to derive the config from.")
@click.option("--backend", help="Deploy backend; default: as the config says.")
@edit_options
@input_shape_option
@click.option(
    "--restart", is_flag=True, help="Begin again, whatever an earlier run has left in the folder."
)
@metrics_option
@json_option
def command(
    model: str,
    weights: str,
    solver: str,
    folder: str,
    config_file: Optional[str],
    simple: Optional[str],
    backend: Optional[str],
    only: Tuple[str, ...],
    advice: Tuple[str, ...],
    skip: Tuple[str, ...],
    assignments: Tuple[str, ...],
    input_shapes: Mapping[str, Tuple[int, ...]],
    restart: bool,
    metrics: Optional[str],
    as_json: bool,
) -> None:
    """Quantize MODEL with WEIGHTS: config, insert, train, save.

    Writes config.json, modified_model.*, record.txt, solver.prototxt (a copy of the solver with net
    and snapshot_prefix redirected), snapshots, Caffe's log and result/model_* into the folder.

    Where the folder has a run with the same inputs, that goes on from its last snapshot; where the
    inputs are others, it is refused unless --restart is given.  SIGINT (Ctrl-C), SIGTERM and SIGHUP
    let the iteration end and write a snapshot.  A second one ends at once.
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

    changes = edits("qat", only, advice, skip, assignments)
    tell_not_applied(changes, "qat")

    def how_to_go_on(state: str) -> str:
        words = [each for each in sys.argv[1:] if each != "--restart"]
        return f"Go on with: {shlex.join(['amct', *words])}"

    written = training.run_all(
        model,
        weights,
        solver,
        folder,
        config_file,
        simple,
        backend,
        input_shapes=input_shapes,
        restart=restart,
        metrics=metrics,
        how_to_go_on=how_to_go_on,
        edits=changes,
    )
    print_files(written, as_json)
