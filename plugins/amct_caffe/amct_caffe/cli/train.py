"""``amct qat train``: train a modified model in Caffe."""

from __future__ import annotations

from typing import Optional

import click


@click.command("train")
@click.argument("solver")
@click.option("--weights", required=True, help="The modified model's weights to start from.")
@click.option("--resume", help="A .solverstate to go on from.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(solver: str, weights: str, resume: Optional[str], as_json: bool) -> None:
    """Train the modified model that SOLVER names.

    Checks the solver first, then runs solver.solve() with a progress bar: all iterations, and the
    TEST pass after the last one, in which shift N is searched.
    """
    from amct_caffe import training
    from amct_core.cli.output import print_files

    snapshot = training.train(solver, weights, resume)
    print_files([snapshot], as_json)
