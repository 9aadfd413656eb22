"""Whether an MPI launcher started this process, as which rank, and how many threads it gets.

Told by the environment alone, so that training in one process neither needs nor starts MPI.
"""

from __future__ import annotations

from typing import Dict, Mapping, Optional

import attrs

_VARIABLES = (
    ("PMI_RANK", "PMI_SIZE"),  # MPICH, Intel MPI, Slurm's PMI
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),  # Open MPI
    ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"),  # MVAPICH2
    ("PMIX_RANK", "SLURM_NTASKS"),  # Slurm's PMIx
)


@attrs.frozen
class Launch:
    """One of several processes that an MPI launcher started; ``0 <= rank < size``."""

    rank: int
    size: int

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and talks to the user."""
        return self.rank == 0


def detect(environment: Mapping[str, str]) -> Optional[Launch]:
    """Return what the launcher's variables say; None for a process on its own.

    A launcher may itself run as the one process of another, whose variables are there as well.
    """
    for rank, size in _VARIABLES:
        if int(environment.get(size, 1)) > 1 and rank in environment:
            return Launch(int(environment[rank]), int(environment[size]))
    return None


def thread_limits(environment: Mapping[str, str], cores: int, ranks: int) -> Dict[str, str]:
    """Return the variables that give each rank of a machine its share of the cores.

    Without them every rank computes with as many threads as there are cores.  What the user has
    chosen stays; OpenBLAS goes by ``OMP_NUM_THREADS`` as well.

    Args:
        environment: of this process.
        cores: that the ranks of this machine may use, all together.
        ranks: on this machine.
    """
    share = str(max(1, cores // ranks))
    limits = {}
    if not {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"} & set(environment):
        limits["OPENBLAS_NUM_THREADS"] = share
    if "NUMBA_NUM_THREADS" not in environment:
        limits["NUMBA_NUM_THREADS"] = share
    return limits
