"""Synchronous data-parallel training: several Caffes, each with a share of every batch.

Caffe calls back twice in an iteration: before the first forward, and when all gradients of the
iteration are there (those of all ``iter_size`` passes, added up) but nothing has been made of them
yet: clipping, division by ``iter_size``, weight decay and the update come after.  Averaged over the
ranks there, the gradients are those of one process with all of the batches, because each rank's
loss is a mean over a batch of the same size.  Then every rank makes the same update.

Source: BVLC Caffe, ``Solver::Step``, ``Solver::Solve`` and ``SGDSolver::ApplyUpdate``.
"""

from __future__ import annotations

import logging
import zlib
from typing import Any, Dict, List

import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.prototxt.solver import Solver
from amct_caffe.runtime.pycaffe import caffe
from amct_caffe.runtime.ranks.launch import Launch
from amct_caffe.runtime.ranks.world import World
from amct_core.errors import EnvironmentUnsuitableError, TrainingError

_log = logging.getLogger("amct_caffe.training")


def declare_ranks(launch: Launch) -> None:
    """Tell Caffe which of how many solvers this process is; its data layers deal out samples by it.

    Raises:
        EnvironmentUnsuitableError: this Caffe cannot be told.
    """
    if not hasattr(caffe, "set_solver_rank"):
        raise EnvironmentUnsuitableError(
            f"this pycaffe ({caffe.__file__}) knows of one solver only.",
            remedy="Use the kendryte-caffe package, or BVLC Caffe of 2017 or later.",
        )
    caffe.set_multiprocess(True)
    caffe.set_solver_count(launch.size)
    caffe.set_solver_rank(launch.rank)


class DataParallel:
    """One rank's part in the common training of a network.

    Args:
        solver: pycaffe's.
        settings: what its prototxt says.
        world: all ranks.
        without_gradient: names of the layers (WeightQAT) that clear the diff of their second blob.
    """

    def __init__(
        self, solver: Any, settings: Solver, world: World, without_gradient: List[str]
    ) -> None:
        self._solver = solver
        self._settings = settings
        self._world = world
        self._blobs = distinct_blobs(solver.net)
        cleared = {_address(solver.net.params[name][1]) for name in without_gradient}
        self._reduced = [blob for blob in self._blobs if _address(blob) not in cleared]
        self._buffer: NDArray[np.float32] = np.empty(
            sum(blob.count for blob in self._reduced), np.float32
        )

    def start(self) -> None:
        """Give every rank the first one's parameters, and have Caffe call back."""
        for blob in self._blobs:
            self._world.communicator.Bcast(blob.data)
        self._solver.add_callback(self._before_iteration, self._average)

    def follow(self) -> None:
        """Do what Caffe's ``Solve`` does on the first rank, in step with it, but write nothing.

        Caffe itself runs TEST passes on the first rank only.
        """
        settings, solver = self._settings, self._solver
        solver.step(settings.max_iter - solver.iter)
        if settings.display and solver.iter % settings.display == 0:
            solver.net.forward()
        if settings.test_interval and solver.iter % settings.test_interval == 0:
            self._test()

    def check_identical(self) -> None:
        """Raise a TrainingError if the ranks' parameters are not the same bits."""
        digest = 0
        for blob in self._blobs:
            digest = zlib.crc32(blob.data.tobytes(), digest)
        digests = self._world.communicator.allgather(digest)
        different = [rank for rank, found in enumerate(digests) if found != digests[0]]
        if different:
            raise TrainingError(
                f"at iteration {self._solver.iter} the parameters of rank {different[0]} are not "
                "those of rank 0: the machines or their libraries compute differently.",
                remedy="Train on machines of one kind, with one version of Caffe and MPI.",
            )

    def _before_iteration(self) -> None:
        settings, iteration = self._settings, self._solver.iter
        tests = settings.test_interval and iteration % settings.test_interval == 0
        tests = tests and (iteration > 0 or settings.test_initialization)
        if tests and not self._world.launch.is_first:
            self._test()
        if settings.snapshot_interval and iteration % settings.snapshot_interval == 0:
            self.check_identical()

    def _test(self) -> None:
        for net, count in zip(self._solver.test_nets, self._settings.test_iter):
            net.share_with(self._solver.net)
            for _ in range(count):
                net.forward()

    def _average(self) -> None:
        from mpi4py import MPI

        start = 0
        for blob in self._reduced:
            self._buffer[start : start + blob.count] = blob.diff.reshape(-1)
            start += blob.count
        self._world.communicator.Allreduce(MPI.IN_PLACE, self._buffer)
        self._buffer /= np.float32(self._world.launch.size)
        start = 0
        for blob in self._reduced:
            blob.diff.reshape(-1)[:] = self._buffer[start : start + blob.count]
            start += blob.count
        if self._settings.display and self._solver.iter % self._settings.display == 0:
            self._log_outputs()

    def _log_outputs(self) -> None:
        """Log the means over the ranks: what Caffe itself logs is the first rank's share."""
        net = self._solver.net
        names = [name for name in net.outputs if net.blobs[name].count == 1]
        own = [float(net.blobs[name].data.reshape(-1)[0]) for name in names]
        shares = self._world.communicator.gather(own)
        if shares is not None:
            means = dict(zip(names, np.mean(shares, axis=0)))
            described = ", ".join(f"{name} = {value:.9g}" for name, value in means.items())
            _log.info("iteration %d: %s (mean of the ranks)", self._solver.iter, described)


def distinct_blobs(net: Any) -> List[Any]:
    """Return the parameters of a net, in its order; those that layers share, once."""
    found: Dict[int, Any] = {}
    for blobs in net.params.values():
        for index in range(len(blobs)):
            found.setdefault(_address(blobs[index]), blobs[index])
    return list(found.values())


def _address(blob: Any) -> int:
    return int(blob.data.ctypes.data)
