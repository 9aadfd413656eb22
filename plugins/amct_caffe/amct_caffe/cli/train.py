"""``amct qat train``: train a modified model in Caffe."""

from __future__ import annotations

import logging
import os
from typing import Optional

import click

from amct_core.cli.output import json_option, print_files
from amct_core.errors import AmctError


@click.command("train")
@click.argument("solver")
@click.option("--weights", required=True, help="The modified model's weights to start from.")
@click.option("--resume", help="A .solverstate to go on from.")
@click.option(
    "--same-data",
    is_flag=True,
    help="Under mpiexec: the ranks may be fed with the same samples.",
)
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    solver: str,
    weights: str,
    resume: Optional[str],
    same_data: bool,
    as_json: bool,
) -> None:
    """Train the modified model that SOLVER names.

    Checks the solver first, then runs solver.solve() with a progress bar: all iterations, and the
    TEST pass after the last one, in which shift N is searched.

    Started as 'mpiexec -n 4 amct qat train ...', four processes train one network together: the
    batch size in the prototxt is that of each, and the first of them writes the files.
    """
    from amct_caffe.runtime.ranks.launch import detect
    from amct_core import logging as amct_logging

    launch = detect(os.environ)
    if launch is None or launch.is_first:
        amct_logging.configure()
    else:
        for name in amct_logging.LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
    if launch is None:
        from amct_caffe.training import workflow as training

        print_files([training.train(solver, weights, resume)], as_json)
        return
    from amct_caffe.runtime.ranks.world import World

    try:
        world = World.join(launch)  # before anything imports NumPy or Caffe
        from amct_caffe.training import distributed as distributed_training

        snapshot = distributed_training.train(world, solver, weights, resume, same_data)
    except AmctError:
        # Every rank has the same error; the first one tells it.
        if launch.is_first:
            raise
        ctx.exit(1)
    if launch.is_first:
        print_files([snapshot], as_json)
