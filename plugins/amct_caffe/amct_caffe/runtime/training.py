"""Makes a solver and runs it."""

from __future__ import annotations

from typing import Any, Optional

from amct_caffe.model.formats.prototxt import solver as solvers
from amct_caffe.runtime.live_view import LiveView
from amct_caffe.runtime.metrics import Metrics
from amct_caffe.runtime.pycaffe import caffe
from amct_caffe.runtime.training_run import HowToGoOn, TrainingRun


def run_solver(
    solver_file: str,
    weights_file: Optional[str],
    resume: Optional[str] = None,
    title: str = "training",
    metrics: Optional[Metrics] = None,
    how_to_go_on: Optional[HowToGoOn] = None,
) -> Any:
    """Run ``solver.solve()``: all iterations, the last snapshot, and the TEST pass after them.

    Args:
        solver_file: the solver's prototxt.
        weights_file: loaded into the net first; None: as the fillers make them.
        resume: a ``.solverstate`` to go on from.
        title: of the progress bar.
        metrics: to write; None: none.
        how_to_go_on: says how to go on from a snapshot.

    Returns:
        The solver (the GIL of Caffe's objects ends with it).

    Raises:
        Stopped: a signal came; a snapshot was written.
        TrainingError: the loss is not finite, or a snapshot was not written whole.
    """
    solver = load_solver(solver_file, weights_file, resume)
    settings = solvers.read(solver_file)
    view = LiveView(solver, settings, title, metrics)
    TrainingRun(solver, settings, view, resume, how_to_go_on).run(solver.solve)
    return solver


def load_solver(solver_file: str, weights_file: Optional[str], resume: Optional[str]) -> Any:
    """Return a solver with its weights, or as it was at a snapshot; arguments as above."""
    solver = caffe.get_solver(solver_file)
    if weights_file is not None:
        solver.net.copy_from(weights_file)
    if resume is not None:
        solver.restore(resume)
    return solver
