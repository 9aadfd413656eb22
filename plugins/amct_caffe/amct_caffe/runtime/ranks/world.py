"""Joins the processes that an MPI launcher started, and sees to it that they end together.

Nothing here imports Caffe: what the environment must say has to be said before Caffe is loaded.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import socket
import sys
import time
import traceback
from typing import Any, Callable, Iterator, List, NoReturn, Optional, Sequence, TypeVar

import attrs

from amct_caffe.runtime.ranks.launch import Launch, thread_limits
from amct_core.cli.installing import how_to_install
from amct_core.errors import AmctError, EnvironmentUnsuitableError, TrainingError
from amct_core.supervision.stopping import StoppedBetweenIterations

_log = logging.getLogger("amct_caffe.training")

_SECONDS_TO_BE_READ = 1.0

Result = TypeVar("Result")


class RefusedTogetherError(TrainingError):
    """What every process knows to have failed in one of them, so that all can end by themselves."""


@attrs.frozen
class World:
    """All processes of one training run, seen from one of them.

    Attributes:
        launch: this process's rank, and how many there are.
        communicator: mpi4py's.
    """

    launch: Launch
    communicator: Any

    @classmethod
    def join(cls, launch: Launch) -> World:
        """Start MPI; to be called before Caffe is imported.

        Where the user has not chosen a number of threads, the cores of each machine are dealt out
        among its processes.  Caffe's log comes from the first process only.

        Raises:
            EnvironmentUnsuitableError: mpi4py is missing, or its MPI is not the launcher's.
        """
        MPI = _mpi(launch)  # noqa: N806
        communicator = MPI.COMM_WORLD
        if communicator.size != launch.size:
            raise EnvironmentUnsuitableError(
                f"the launcher started {launch.size} processes, but mpi4py's MPI "
                f"({MPI.Get_library_version().splitlines()[0]}) knows of {communicator.size}.",
                remedy="Use the mpiexec of that MPI, or build mpi4py with the MPI of this one.",
            )
        neighbours = communicator.Split_type(MPI.COMM_TYPE_SHARED)
        os.environ.update(thread_limits(os.environ, _cores(neighbours), neighbours.size))
        if not launch.is_first:
            os.environ.update(GLOG_minloglevel="2")
        return cls(launch, communicator)

    def introduce(self) -> None:
        """Log which process is which rank: a launcher names a process that was killed by number."""
        places = self.communicator.gather(f"process {os.getpid()} on {socket.gethostname()}")
        if places is not None:
            ranks = ", ".join(f"rank {rank} is {place}" for rank, place in enumerate(places))
            _log.info("training on %d ranks: %s", self.launch.size, ranks)

    @property
    def name(self) -> str:
        """This process as messages call it."""
        return (
            f"rank {self.launch.rank} of {self.launch.size} "
            f"(process {os.getpid()} on {socket.gethostname()})"
        )

    def largest(self, number: int) -> int:
        """Return the largest of the numbers that all processes give."""
        found: int = self.communicator.allreduce(number, op=_mpi(self.launch).MAX)
        return found

    def agreed(self, action: Callable[[], Result]) -> Result:
        """Return what ``action`` returns, if it succeeds in every process.

        Raises:
            RefusedTogetherError: in all processes, if it raised an AmctError in any of them; the
                message is that of the first, with its rank unless all failed alike.
        """
        result: List[Result] = []
        problem: Optional[str] = None
        try:
            result.append(action())
        except AmctError as error:
            problem = str(error)
        problems: List[Optional[str]] = self.communicator.allgather(problem)
        if all(found is None for found in problems):
            return result[0]
        rank, first = next((i, found) for i, found in enumerate(problems) if found is not None)
        alike = all(found == first for found in problems)
        raise RefusedTogetherError(
            first if alike else f"rank {rank} of {self.launch.size}: {first}"
        )

    def check_same_files(self, files: Sequence[str]) -> None:
        """Raise a TrainingError unless every process sees the same contents.

        On several machines without a common file system, each has its own copies.
        """
        for file in files:
            digests = self.communicator.allgather(_digest(file))
            different = [rank for rank, digest in enumerate(digests) if digest != digests[0]]
            if different:
                raise TrainingError(
                    f"rank {different[0]} has other contents in this file than rank 0.",
                    file=file,
                    remedy="Copy it to every machine, or train in a folder that all of them share.",
                )

    @contextlib.contextmanager
    def ending_together(self, advice: str) -> Iterator[None]:
        """End every process when one fails inside: the others wait for it, and would do so forever.

        Args:
            advice: what to do then, for the message.
        """
        try:
            yield
        except (RefusedTogetherError, StoppedBetweenIterations):
            raise
        except BaseException as error:
            self._end(error, advice)

    def _end(self, error: BaseException, advice: str) -> NoReturn:
        described = self._described(error)
        if described is None:
            described = str(error)
            traceback.print_exception(type(error), error, error.__traceback__)
        print(
            f"Error: {self.name}: {described}\nAll ranks end. {advice}",
            file=sys.stderr,
            flush=True,
        )
        # MPICH's launcher drops what it has not read yet when it ends the ranks.
        time.sleep(_SECONDS_TO_BE_READ)
        self.communicator.Abort(1)
        raise AssertionError("MPI's Abort returned")

    def _described(self, error: BaseException) -> Optional[str]:
        """Return what is to be said of an error that needs no traceback; None for any other."""
        if isinstance(error, KeyboardInterrupt):
            return "interrupted."
        if isinstance(error, AmctError):
            return str(error)
        if isinstance(error, _mpi(self.launch).Exception):
            # Seen where this rank was reading from another when that was killed.
            last = str(error).strip().splitlines()[-1]
            return f"MPI failed, as it does when another rank has died ({last})."
        return None


def _mpi(launch: Launch) -> Any:
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise EnvironmentUnsuitableError(
            f"an MPI launcher started {launch.size} processes, but mpi4py cannot be used: {error}.",
            remedy=(
                f"Run: {how_to_install('amct[mpi]')}, which brings mpi4py and MPICH; where the "
                "machine has an MPI of its own: pip install mpi4py. To train in one process, leave "
                "out mpiexec."
            ),
        ) from error
    return MPI


def _cores(neighbours: Any) -> int:
    """Return how many cores the ranks of this machine may use.

    A launcher may have bound each to cores of its own.
    """
    known = hasattr(os, "sched_getaffinity")  # Linux
    own = os.sched_getaffinity(0) if known else set(range(os.cpu_count() or 1))
    return len(set().union(*neighbours.allgather(own)))


def _digest(file: str) -> bytes:
    digest = hashlib.sha256()
    with open(file, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.digest()
