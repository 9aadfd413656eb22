"""Runs a solver with a progress bar."""

from __future__ import annotations

from typing import Any, Optional

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from amct_caffe.runtime.pycaffe import caffe


def run_solver(
    solver_file: str,
    max_iter: int,
    weights_file: Optional[str],
    resume: Optional[str] = None,
    title: str = "training",
) -> Any:
    """Run ``solver.solve()``: all iterations, the last snapshot, and the TEST pass after them.

    Args:
        solver_file: the solver's prototxt.
        max_iter: of the solver, for the progress bar.
        weights_file: loaded into the net first; None: as the fillers make them.
        resume: a ``.solverstate`` to go on from.
        title: of the progress bar.

    Returns:
        The solver (the GIL of Caffe's objects ends with it).
    """
    solver = load_solver(solver_file, weights_file, resume)
    solve(solver, max_iter, title)
    return solver


def load_solver(solver_file: str, weights_file: Optional[str], resume: Optional[str]) -> Any:
    """Return a solver with its weights, or as it was at a snapshot; arguments as above."""
    solver = caffe.get_solver(solver_file)
    if weights_file is not None:
        solver.net.copy_from(weights_file)
    if resume is not None:
        solver.restore(resume)
    return solver


def solve(solver: Any, max_iter: int, title: str = "training") -> None:
    """Run ``solver.solve()`` with a progress bar; arguments as above."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        task = progress.add_task(title, total=max_iter, completed=solver.iter)
        solver.add_callback(lambda: progress.update(task, completed=solver.iter), lambda: None)
        solver.solve()
