"""``amct qat train``: train a modified model in Caffe."""

from __future__ import annotations

import logging
import os
import shlex
from typing import Optional

import click

from amct_caffe.cli.options import metrics_option
from amct_core.cli.output import json_option, print_files
from amct_core.errors import AmctError
from amct_core.supervision.stopping import Stopped


@click.command("train")
@click.argument("solver")
@click.option(
    "--weights",
    help="The modified model's weights to start from; with --resume they need not be given.",
)
@click.option("--resume", help="A .solverstate to go on from.")
@click.option(
    "--same-data",
    is_flag=True,
    help="Under mpiexec: the ranks may be fed with the same samples.",
)
@metrics_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    solver: str,
    weights: Optional[str],
    resume: Optional[str],
    same_data: bool,
    metrics: Optional[str],
    as_json: bool,
) -> None:
    """Train the modified model that SOLVER names.

    Checks the solver first, then runs solver.solve() with a progress bar: all iterations, and the
    TEST pass after the last one, in which shift N is searched.

    SIGINT (Ctrl-C), SIGTERM and SIGHUP let the iteration end and write a snapshot; the command that
    goes on from there is printed.  A second one ends at once.

    Started as 'mpiexec -n 4 amct qat train ...', four processes train one network together: the
    batch size in the prototxt is that of each, and the first of them writes the files.
    """
    from amct_caffe.runtime.ranks.launch import detect
    from amct_core import logging as amct_logging

    if weights is None and resume is None:
        raise click.UsageError("give --weights, or --resume.")
    launch = detect(os.environ)
    if launch is None or launch.is_first:
        amct_logging.configure()
    else:
        for name in amct_logging.LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
    from amct_caffe.training.start import Start

    def how_to_go_on(state: str) -> str:
        words = ["mpiexec", "-n", str(launch.size)] if launch is not None else []
        words += ["amct", "qat", "train", solver, "--resume", state]
        words += ["--same-data"] if same_data else []
        words += ["--metrics", metrics] if metrics is not None else []
        return f"Go on with: {shlex.join(words)}"

    start = Start(weights, resume, metrics, how_to_go_on)
    if launch is None:
        from amct_caffe.training import workflow as training

        print_files([training.train(solver, start)], as_json)
        return
    from amct_caffe.runtime.ranks.world import World

    try:
        world = World.join(launch)  # before anything imports NumPy or Caffe
        from amct_caffe.training import distributed as distributed_training

        snapshot = distributed_training.train(world, solver, start, same_data)
    except (AmctError, Stopped) as error:
        # Every rank has the same error; the first one tells it.
        if launch.is_first:
            raise
        ctx.exit(error.status if isinstance(error, Stopped) else 1)
    if launch.is_first:
        print_files([snapshot], as_json)
