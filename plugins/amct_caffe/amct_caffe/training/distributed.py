"""Training steps for several processes that an MPI launcher started."""

from __future__ import annotations

import logging
from typing import List, Tuple

from amct_caffe.model.formats.prototxt.document import NetDocument
from amct_caffe.model.formats.prototxt.solver import Solver
from amct_caffe.passes.python_layers import is_python_layer
from amct_caffe.runtime.ranks.launch import Launch
from amct_caffe.runtime.ranks.world import World
from amct_caffe.training import data_shares
from amct_caffe.training.start import Start
from amct_caffe.training.workflow import (
    check_training,
    keep_caffes_log,
    last_snapshot,
    open_metrics,
)
from amct_core.errors import ModelError
from amct_core.supervision.watch import current

_log = logging.getLogger("amct_caffe.training")


def train(
    world: World,
    solver_file: str,
    start: Start,
    same_data: bool = False,
) -> str:
    """Train the modified model that a solver names, as one of several processes.

    Every process calls this with the same arguments.  The batch size in the prototxt is that of one
    process; the global batch is as many times larger as there are processes.

    Args:
        world: the processes.
        solver_file, start: as for :func:`amct_caffe.training.workflow.train`.
        same_data: whether the processes may be fed with the same samples.

    Returns:
        The last snapshot, which the first process has written.

    Raises:
        Stopped: in all processes after the same iteration, if a signal came to one of them.
        AmctError: in all processes alike, before training begins.  What fails in one of them later
            ends them all, with a message.
    """
    with world.ending_together("Go on from the last snapshot with --resume."):
        start = world.agreed(start.complete)
        assert start.weights is not None
        files = [solver_file, start.weights, *([start.resume] if start.resume else [])]
        solver, document = world.agreed(
            lambda: _checked(world.launch, solver_file, start, same_data)
        )
        world.agreed(lambda: world.check_same_files([*files, str(document.file)]))
        world.introduce()
        current().tell(who=world.name)
        if world.launch.is_first:
            _warn(solver, document)
            keep_caffes_log(solver, start)
        _run(world, solver, document, solver_file, start)
    return last_snapshot(solver)


def _checked(
    launch: Launch, solver_file: str, start: Start, same_data: bool
) -> Tuple[Solver, NetDocument]:
    assert start.weights is not None
    solver, document = check_training(
        solver_file, start.weights, start.resume, rehearses=launch.is_first
    )
    data_shares.require_common_databases(document)
    statistics = data_shares.trained_statistics(document)
    if statistics is not None:
        raise ModelError(
            "this BatchNorm follows the statistics of its batch, and each rank would follow those "
            "of its own share.",
            file=document.file,
            layer=statistics,
            field="batch_norm_param.use_global_stats",
            remedy="Set use_global_stats: true, or batch_norm: fold in the config.",
        )
    from amct_caffe.runtime.ranks.data_parallel import declare_ranks

    declare_ranks(launch)
    if not same_data:
        data_shares.require_shares(document)
    return solver, document


def _warn(solver: Solver, document: NetDocument) -> None:
    for warning in data_shares.unequal_losses(document):
        _log.warning("%s", warning)
    if not 0 < solver.snapshot_interval < solver.max_iter:
        _log.warning(
            "snapshot is %d: the only snapshot comes at the end, and a rank that dies before takes "
            "all of the training with it; set snapshot in the solver",
            solver.snapshot_interval,
        )


def _run(
    world: World,
    settings: Solver,
    document: NetDocument,
    solver_file: str,
    start: Start,
) -> None:
    from amct_caffe.runtime.live_view import LiveView
    from amct_caffe.runtime.ranks.data_parallel import DataParallel
    from amct_caffe.runtime.training import load_solver
    from amct_caffe.runtime.training_run import TrainingRun

    solver = load_solver(solver_file, start.weights, start.resume)
    weights: List[str] = [
        layer.name for layer in document.layers_in("TRAIN") if is_python_layer(layer, "WeightQAT")
    ]
    parallel = DataParallel(solver, settings, world, weights)
    parallel.start()
    view = None
    if world.launch.is_first:
        view = LiveView(
            solver,
            settings,
            metrics=open_metrics(start, document),
            ranks=world.launch.size,
            says_lines=not settings.display,  # DataParallel says them, of all ranks
        )
    run = TrainingRun(
        solver,
        settings,
        view,
        start.resume,
        start.how_to_go_on,
        agreed=world.largest,
        writes=world.launch.is_first,
    )
    run.run(solver.solve if world.launch.is_first else parallel.follow)
    parallel.check_identical()
