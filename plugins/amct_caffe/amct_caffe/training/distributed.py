"""Training steps for several processes that an MPI launcher started."""

from __future__ import annotations

import logging
from typing import List, Optional, Tuple

from amct_caffe.model.formats.prototxt.document import NetDocument
from amct_caffe.model.formats.prototxt.solver import Solver
from amct_caffe.passes.python_layers import is_python_layer
from amct_caffe.runtime.ranks.launch import Launch
from amct_caffe.runtime.ranks.world import World
from amct_caffe.training import data_shares
from amct_caffe.training.workflow import check_training, last_snapshot
from amct_core.errors import ModelError

_log = logging.getLogger("amct_caffe.training")


def train(
    world: World,
    solver_file: str,
    weights_file: str,
    resume: Optional[str] = None,
    same_data: bool = False,
) -> str:
    """Train the modified model that a solver names, as one of several processes.

    Every process calls this with the same arguments.  The batch size in the prototxt is that of one
    process; the global batch is as many times larger as there are processes.

    Args:
        world: the processes.
        solver_file, weights_file, resume: as for :func:`amct_caffe.training.workflow.train`.
        same_data: whether the processes may be fed with the same samples.

    Returns:
        The last snapshot, which the first process has written.

    Raises:
        AmctError: in all processes alike, before training begins.  What fails in one of them later
            ends them all, with a message.
    """
    with world.ending_together("Go on from the last snapshot with --resume."):
        solver, document = world.agreed(
            lambda: _checked(world.launch, solver_file, weights_file, resume, same_data)
        )
        files = [solver_file, weights_file, *([resume] if resume else []), str(document.file)]
        world.agreed(lambda: world.check_same_files(files))
        world.introduce()
        if world.launch.is_first:
            _warn(solver, document)
        _run(world, solver, document, solver_file, weights_file, resume)
    return last_snapshot(solver)


def _checked(
    launch: Launch, solver_file: str, weights_file: str, resume: Optional[str], same_data: bool
) -> Tuple[Solver, NetDocument]:
    solver, document = check_training(solver_file, weights_file, resume, rehearses=launch.is_first)
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
    weights_file: str,
    resume: Optional[str],
) -> None:
    from amct_caffe.runtime.ranks.data_parallel import DataParallel
    from amct_caffe.runtime.training import load_solver, solve

    solver = load_solver(solver_file, weights_file, resume)
    weights: List[str] = [
        layer.name for layer in document.layers_in("TRAIN") if is_python_layer(layer, "WeightQAT")
    ]
    parallel = DataParallel(solver, settings, world, weights)
    parallel.start()
    if world.launch.is_first:
        solve(solver, settings.max_iter)
    else:
        parallel.follow()
    parallel.check_identical()
