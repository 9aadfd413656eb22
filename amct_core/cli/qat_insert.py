"""``amct qat insert``: put fake quantization into a model."""

from __future__ import annotations

from typing import Mapping, Tuple

import click

from amct_core.cli.input_shapes import input_shape_option
from amct_core.cli.output import json_option, print_files
from amct_core.file_names import work_files


@click.command("insert")
@click.argument("model")
@click.argument("weights")
@click.option(
    "-c", "--config", "config_file", required=True, help="The config of what to quantize."
)
@click.option("-o", "--output", "folder", required=True, help="Folder for the three files.")
@click.option("--solver", help="The solver that will train: the states that it says count.")
@click.option(
    "--record",
    "initial_record_file",
    help="A complete record of post-training quantization: training begins with its bounds.",
)
@input_shape_option
@json_option
def command(
    model: str,
    weights: str,
    config_file: str,
    folder: str,
    solver: str | None,
    initial_record_file: str | None,
    input_shapes: Mapping[str, Tuple[int, ...]],
    as_json: bool,
) -> None:
    """Put fake quantization into MODEL with WEIGHTS, ready to train.

    Writes modified_model.prototxt, modified_model.caffemodel and record.txt, which training fills.
    """
    from amct_core import workflow
    from amct_core.distinct_files import check_distinct
    from amct_core.ptq.first_bounds import RecordedBounds

    files = work_files(folder)
    check_distinct({"--record": initial_record_file}, {"scale_offset_record_file": files.record})
    first_bounds = None
    if initial_record_file is not None:
        first_bounds = RecordedBounds.read(initial_record_file)
    workflow.insert(
        model,
        weights,
        config_file,
        *files.modified,
        files.record,
        solver_file=solver,
        input_shapes=input_shapes,
        first_bounds=first_bounds,
    )
    print_files((*files.modified, files.record), as_json)
