"""The processes that train one network together, as the inserted layers see them.

Which they are is not kept here: Caffe's own number of solvers says whether there are several (see
:mod:`amct_caffe.runtime.ranks.data_parallel`, which sets it), and MPI knows the others.
"""

from __future__ import annotations

import functools
from typing import Any, Callable, List, Optional, Tuple

import attrs
import numpy as np
from numpy.typing import ArrayLike, NDArray

from amct_caffe.qat.recording import records
from amct_caffe.runtime.pycaffe import caffe
from amct_core.contracts.shifts import CheckedSearch
from amct_core.contracts.usage import Usage
from amct_core.contracts.values import check_factors
from amct_core.errors import EnvironmentUnsuitableError
from amct_core.extensions import Calibrator, ShiftSearch
from amct_core.numerics.reduction import OneProcess
from amct_core.record import Record

Array = NDArray[Any]


@attrs.frozen
class Processes(OneProcess):
    """A process that trains alone, and the interface of those that do not.

    Attributes:
        rank: of this process, ``0 <= rank < size``.
        size: the number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def writes(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    def whole(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return every process's batch as one, in the order of ranks; arrays (batch, ...)."""
        return batch


@attrs.frozen(kw_only=True)
class MpiProcesses(Processes):
    """Processes that talk through MPI.

    Attributes:
        communicator: mpi4py's.
    """

    communicator: Any

    def total(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return the float64 sum over the processes, added in the order of ranks.

        Gathered and added here: every process must get the same bits, which MPI only recommends.
        """
        shares = self.communicator.allgather(np.asarray(values, np.float64))
        result: NDArray[np.float64] = np.sum(shares, axis=0)
        return result

    def gathered(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the values of all processes as one flat array, in the order of ranks."""
        return np.concatenate(self.communicator.allgather(np.ravel(values)))

    def whole(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return every process's batch as one, in the order of ranks."""
        return np.concatenate(self.communicator.allgather(np.asarray(batch)))


def processes() -> Processes:
    """Return the processes that train together; one, unless Caffe has more solvers.

    Raises:
        EnvironmentUnsuitableError: Caffe has several solvers, but not from us.
    """
    count = getattr(caffe, "solver_count", lambda: 1)()
    if count == 1:
        return Processes()
    world = _world()
    if world.size != count:
        raise EnvironmentUnsuitableError(
            f"Caffe is set to {count} solvers, but MPI has {world.size} process(es).",
            remedy="Train on several processes with: mpiexec -n COUNT amct qat train ...",
        )
    return world


@functools.cache
def _world() -> MpiProcesses:
    from mpi4py import MPI

    communicator = MPI.COMM_WORLD
    return MpiProcesses(rank=communicator.rank, size=communicator.size, communicator=communicator)


def update_record(file: str, change: Callable[[Record], Record]) -> None:
    """Change the record file; one process does it for all."""
    if processes().writes:
        records.update(file, change)


class SharedCalibration:
    """The calibration of one blob over the batches of all processes.

    Args:
        calibrator: says how.
        layer: names of the layers that read the blob, for messages.
    """

    def __init__(self, calibrator: Calibrator, layer: Optional[str] = None) -> None:
        self._calibrator = calibrator
        self._usage = Usage(calibrator, layer)
        with self._usage.running("start"):
            self._run = None if calibrator.start is None else calibrator.start()
        self._kept: List[Array] = []
        self._own_share = (
            calibrator.calibrate_shares if self._run is None else calibrator.combine
        ) is not None
        self.observed = 0
        """Batches taken in."""

    def observe(self, batch: Array) -> None:
        """Take in this process's batch; call :meth:`keep` before its memory is used again."""
        others = processes()
        whole = batch if self._own_share else others.whole(batch)
        if self._run is not None:
            with self._usage.running("observe"):
                self._run.observe(whole)
        else:
            self._kept.append(whole)
        self.observed += 1

    def keep(self) -> None:
        """Copy what was only borrowed from the last batch; not needed after the last result."""
        if self._kept:
            self._kept[-1] = np.array(self._kept[-1])

    def result(self) -> Tuple[Any, int]:
        """Return scale_d and offset_d for what was observed so far, the same in every process.

        Raises:
            PluginError: the calibrator fails, or breaks its contract.
            QuantizationError: no scale fits.
        """
        function = "result" if self._run is not None else "calibrate"
        with self._usage.running(function):
            result = self._result()
        return check_factors(self._usage, function, result)

    def _result(self) -> Tuple[Any, int]:
        others = processes()
        calibrator, run = self._calibrator, self._run
        together = others.size > 1 and self._own_share
        if run is not None:
            combine = calibrator.combine
            return (combine(run, others) if together and combine else run).result()
        shares, calibrate = calibrator.calibrate_shares, calibrator.calibrate
        assert calibrate is not None
        return shares(self._kept, others) if together and shares else calibrate(self._kept)


class SharedShiftSearch:
    """One search for N over the batches of all processes.

    Args:
        search: says how; it searches something.
        deq_scale, broadcast: as ``search.start`` takes them.
        layer: name of the layer, for messages.
    """

    def __init__(
        self, search: ShiftSearch, deq_scale: Array, broadcast: bool, layer: Optional[str] = None
    ) -> None:
        self._searcher = CheckedSearch.start(search, deq_scale, broadcast, layer)
        self._combine = search.combine

    def observe(self, y: Array) -> None:
        """Take in this process's batch."""
        self._searcher.observe(y if self._combine is not None else processes().whole(y))

    def result(self) -> NDArray[np.uint8]:
        """Return N, the same in every process; to be called once.

        Raises:
            PluginError: the search fails, or breaks its contract.
        """
        others = processes()
        if self._combine is not None and others.size > 1:
            self._searcher.combine(self._combine, others)
        return self._searcher.result()
