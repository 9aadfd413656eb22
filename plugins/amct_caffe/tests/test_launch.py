"""Which process of how many this is, as the launchers say it."""

from __future__ import annotations

import pytest

from amct_caffe.runtime.ranks.launch import Launch, detect, thread_limits


@pytest.mark.parametrize(
    ("environment", "launch"),
    [
        ({"PMI_RANK": "1", "PMI_SIZE": "4"}, Launch(1, 4)),
        ({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"}, Launch(0, 2)),
        ({"MV2_COMM_WORLD_RANK": "2", "MV2_COMM_WORLD_SIZE": "3"}, Launch(2, 3)),
        ({"PMIX_RANK": "3", "SLURM_NTASKS": "8"}, Launch(3, 8)),
        ({"PMI_RANK": "0", "PMI_SIZE": "1"}, None),
        (
            {
                "PMI_RANK": "0",
                "PMI_SIZE": "1",
                "OMPI_COMM_WORLD_RANK": "1",
                "OMPI_COMM_WORLD_SIZE": "2",
            },
            Launch(1, 2),
        ),
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "0"}, None),  # a batch script, not srun
        ({}, None),
    ],
)
def test_the_environment_tells(environment, launch):
    assert detect(environment) == launch


def test_the_first_rank_writes():
    assert [Launch(rank, 3).is_first for rank in range(3)] == [True, False, False]


@pytest.mark.parametrize(
    ("environment", "cores", "ranks", "blas", "numba"),
    [
        ({}, 8, 2, "4", "4"),
        ({}, 8, 3, "2", "2"),
        ({}, 2, 4, "1", "1"),
        ({"OPENBLAS_NUM_THREADS": "7"}, 8, 2, "7", "4"),
        ({"OMP_NUM_THREADS": "7"}, 8, 2, None, "4"),
        ({"NUMBA_NUM_THREADS": "7"}, 8, 2, "4", "7"),
    ],
)
def test_cores_are_divided_among_the_ranks_unless_the_user_chose(
    environment, cores, ranks, blas, numba
):
    result = {**environment, **thread_limits(environment, cores, ranks)}
    assert result.get("OPENBLAS_NUM_THREADS") == blas
    assert result["NUMBA_NUM_THREADS"] == numba
