"""What layers, plugins and checks see of the other ranks: run on real ranks, judged there."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest
from ready_ranks import ReadyRanks

pytestmark = pytest.mark.caffe

PROLOGUE = """
import os
import numpy as np
from amct_caffe.runtime.ranks.launch import detect
from amct_caffe.runtime.ranks.world import World

launch = detect(os.environ)
world = World.join(launch)
from amct_caffe.runtime.ranks.data_parallel import declare_ranks
from amct_caffe.runtime.ranks.processes import SharedCalibration, SharedShiftSearch, processes
from amct_core.errors import AmctError
from amct_core.extensions import Calibrator, ShiftSearch

declare_ranks(launch)
rank, size = launch.rank, launch.size
"""


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """Start three ranks that run one script after another."""
    with ReadyRanks(tmp_path_factory.mktemp("ranks"), 3, PROLOGUE) as ranks:
        yield ranks


@pytest.fixture
def on_ranks(ranks, tmp_path):
    """Return a function that runs a script on all ranks, each in the folder of the test."""

    def run(script):
        ranks.run(tmp_path, textwrap.dedent(script))

    return run


def test_values_of_all_ranks_come_together_in_their_order(on_ranks):
    on_ranks("""
        ours = processes()
        assert (ours.rank, ours.size, ours.writes) == (rank, 3, rank == 0)
        assert ours.total(0.5 + rank) == 4.5
        assert ours.total([[rank, 1.0]]).tolist() == [[3.0, 3.0]]
        own = np.arange(rank, dtype=np.float32)  # ranks may hold different numbers of values
        assert ours.gathered(own).tolist() == [0.0, 0.0, 1.0]
        batch = np.full((2, 1), rank, np.float32)
        assert ours.whole(batch).tolist() == [[0], [0], [1], [1], [2], [2]]
    """)


def test_a_plugins_calibrator_that_knows_nothing_of_ranks_gets_all_batches(on_ranks):
    on_ranks("""
        seen = []
        def calibrate(batches):
            seen.extend(batch.ravel().tolist() for batch in batches)
            return np.float32(1), 0
        together = SharedCalibration(Calibrator("mine", calibrate))
        together.observe(np.full((1, 1), 10 * rank, "f4"))
        together.observe(np.full((1, 1), 10 * rank + 1, "f4"))
        together.result()
        assert seen == [[0, 10, 20], [1, 11, 21]], seen
    """)


def test_a_plugins_streaming_calibrator_that_knows_nothing_of_ranks_gets_all_batches(on_ranks):
    on_ranks("""
        class Run:
            def __init__(self):
                self.seen = []
            def observe(self, batch):
                self.seen.append(batch.ravel().tolist())
            def result(self):
                assert self.seen == [[0, 1, 2]], self.seen
                return np.float32(1), 0
        together = SharedCalibration(Calibrator("mine", start=Run))
        together.observe(np.full((1, 1), rank, "f4"))
        assert together.result() == (1, 0)
    """)


def test_streaming_calibrators_find_in_shares_what_they_find_in_all_batches(on_ranks):
    on_ranks("""
        from amct_core.plugins import registries
        data = np.random.default_rng(1).normal(0.3, 2, (6, 500)).astype("f4")
        for name in ("min_max", "percentile", "mse", "kl"):
            calibrator = registries().calibrators.get(name)
            alone = calibrator.start()
            alone.observe(data)
            together = SharedCalibration(calibrator)
            for batch in data[2 * rank : 2 * rank + 2]:
                together.observe(batch)
                found = together.result()
            assert found == alone.result(), name
    """)


def test_a_plugins_search_that_knows_nothing_of_ranks_observes_all_batches(on_ranks):
    on_ranks("""
        class Search:
            def __init__(self, deq_scale, broadcast):
                self.seen = []
            def observe(self, y):
                self.seen.append(y.ravel().tolist())
            def result(self):
                assert self.seen == [[0, 1, 2]], self.seen
                return [7]
        search = SharedShiftSearch(ShiftSearch("mine", Search), np.ones(1, "f4"), False)
        search.observe(np.full((1, 1), rank, "f4"))
        assert search.result().tolist() == [7]
    """)


def test_a_rank_starts_with_its_share_of_the_cores(on_ranks):
    # What a test on ranks sets for OpenBLAS is the user's choice; numba's threads are left to us.
    on_ranks("""
        share = max(1, len(os.sched_getaffinity(0)) // size)
        assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
        assert os.environ["NUMBA_NUM_THREADS"] == str(share)
    """)


def test_ranks_that_have_drifted_apart_are_an_error_that_names_one(on_ranks):
    on_ranks("""
        from amct_caffe.model.formats.prototxt.solver import Solver
        from amct_caffe.runtime.ranks.data_parallel import DataParallel
        from amct_caffe.runtime.pycaffe import caffe
        from amct_core.textproto import Message

        if rank == 0:
            open("net.prototxt", "w").write('''
                layer { name: "data" type: "DummyData" top: "data"
                        dummy_data_param { shape { dim: 2 dim: 3 } } }
                layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
                        inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
            ''')
            open("solver.prototxt", "w").write(
                'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" random_seed: 1'
            )
        world.communicator.Barrier()
        solver = caffe.get_solver("solver.prototxt")
        parallel = DataParallel(solver, Solver(Message()), world, [])
        weights = solver.net.params["ip"][0].data
        first = world.communicator.bcast(weights.copy())
        assert rank == 0 or (weights != first).any()  # every rank has a seed of its own
        parallel.start()
        assert (weights == first).all()
        parallel.check_identical()
        if rank == 2:
            weights[0, 0] += 1e-7
        try:
            parallel.check_identical()
        except AmctError as error:
            assert "parameters of rank 2 are not those of rank 0" in str(error)
        else:
            raise AssertionError("nobody noticed")
    """)


def test_an_error_of_one_rank_is_known_to_all(on_ranks):
    on_ranks("""
        def refuse():
            if rank == 1:
                raise AmctError("no room.")
            return 7
        try:
            world.agreed(refuse)
        except AmctError as error:
            assert str(error) == "rank 1 of 3: no room."
        else:
            raise AssertionError("rank %d knows of nothing" % rank)
        assert world.agreed(lambda: rank) == rank
    """)


def test_files_that_differ_between_machines_are_refused(on_ranks):
    on_ranks("""
        name = f"copy{min(rank, 1)}"
        open(name, "w").write("the same" if rank == 0 else "another")
        world.communicator.Barrier()
        try:
            world.check_same_files([name])
        except AmctError as error:
            assert "rank 1 has other contents" in str(error)
        else:
            raise AssertionError("nobody noticed")
        world.check_same_files(["copy1"])
    """)


TRAIN = ("qat", "train", "s.prototxt", "--weights", "w.caffemodel")


def amct_as_if_launched(folder, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "amct_core", *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_without_mpi4py_one_rank_says_how_to_get_it_and_all_end(tmp_path):
    (tmp_path / "mpi4py.py").write_text("raise ImportError('no mpi4py here')\n")
    outcomes = [
        amct_as_if_launched(tmp_path, *TRAIN, PMI_RANK=rank, PMI_SIZE="2", PYTHONPATH=str(tmp_path))
        for rank in "01"
    ]
    assert [outcome.returncode for outcome in outcomes] == [1, 1]
    assert "pip install --find-links FOLDER 'amct[mpi]==" in outcomes[0].stderr
    assert outcomes[1].stderr == ""


def test_several_ranks_are_refused_where_mpi_knows_of_one(tmp_path):
    pytest.importorskip("mpi4py")
    # What Open MPI's launcher says to a process whose mpi4py uses MPICH.
    outcome = amct_as_if_launched(
        tmp_path, *TRAIN, OMPI_COMM_WORLD_RANK="0", OMPI_COMM_WORLD_SIZE="2"
    )
    assert outcome.returncode == 1
    assert "the launcher started 2 processes" in outcome.stderr


def test_qat_run_is_not_for_several_processes(tmp_path):
    arguments = ("qat", "run", "m.prototxt", "m.caffemodel", "--solver", "s.prototxt", "-o", "q")
    outcome = amct_as_if_launched(tmp_path, *arguments, PMI_RANK="0", PMI_SIZE="2")
    assert outcome.returncode == 1
    assert "mpiexec -n 2 amct qat train" in outcome.stderr
    assert not (tmp_path / "q").exists()


def test_caffes_own_count_of_solvers_must_be_mpis(tmp_path):
    script = """
import caffe
from amct_caffe.runtime.ranks.processes import processes
from amct_core.errors import AmctError
assert processes().size == 1
caffe.set_solver_count(2)
try:
    processes()
except AmctError as error:
    assert "mpiexec" in str(error)
else:
    raise AssertionError("two solvers, and nobody to reduce with")
"""
    pytest.importorskip("mpi4py")
    environment = {**os.environ, "GLOG_minloglevel": "2"}
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120, env=environment)
