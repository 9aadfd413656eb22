"""Training that is interrupted and resumed ends like training that is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amct_core.numerics import affine, ifmr
from plugins.amct_caffe.tests.qat import nets
from plugins.amct_caffe.tests.qat.bench import Arrays, Bench, Modified, blobs_of

pytestmark = pytest.mark.caffe

BATCH, BATCHES, BATCH_NUM, MAX_ITER = 4, 2, 2, 8
"""One epoch is as long as the time between two snapshots, so a new process goes on alike."""

RUN = {"max_iter": MAX_ITER, "snapshot": BATCHES, "test_interval": MAX_ITER, "test_iter": BATCH_NUM}

RESUME = """
import sys
from amct_caffe.runtime.pycaffe import caffe
solver = caffe.get_solver(sys.argv[1])
solver.restore(sys.argv[2])
solver.solve()
"""


def small_network(bench: Bench, batch_num: int = BATCH_NUM, **data_config: Any) -> Modified:
    """Return a network with each kind of quantized layer."""
    random = np.random.default_rng(5)
    count = BATCH * BATCHES
    data, label = random.normal(0, 1, (count, 2, 6, 6)), random.normal(0, 2, (count, 3))
    file = bench.data(data=data, label=label)
    return bench.modify(
        nets.batches(file, ["data", "label"], BATCH),
        nets.convolution("conv", "data", 4, 3),
        nets.relu("relu", "conv"),
        nets.pooling("pool", "conv", "AVE", 2, 2),
        nets.inner_product("ip", "pool", 3),
        nets.euclidean_loss("ip"),
        batch_num=batch_num,
        data_config=data_config,
    )


def weights_in(modified: Modified, snapshot: str) -> Arrays:
    """Return all blobs of a snapshot."""
    return blobs_of(modified.net(snapshot))


def assert_identical(first: Arrays, second: Arrays) -> None:
    """Compare all blobs bit by bit."""
    assert first.keys() == second.keys()
    differing = [name for name in first if first[name].tobytes() != second[name].tobytes()]
    assert differing == []


@pytest.fixture
def uninterrupted(bench: Bench) -> Any:
    """Return a network, what its training ends with, and its record before training."""
    modified = small_network(bench)
    before = Path(modified.record_file).read_text()
    modified.solver(**RUN).solve()
    weights = weights_in(modified, modified.snapshot(MAX_ITER))
    after = Path(modified.record_file).read_text()
    Path(modified.record_file).write_text(before)
    return modified, weights, after


@pytest.mark.parametrize("interrupted_at", [2, 4, 6])
def test_a_new_process_goes_on_bit_by_bit(uninterrupted: Any, interrupted_at: int) -> None:
    modified, weights, record = uninterrupted
    modified.solver(name="resumed", **RUN).step(interrupted_at)
    files = [
        str(modified.folder / "resumed.prototxt"),
        modified.snapshot(interrupted_at, "resumed", "solverstate"),
    ]
    subprocess.run([sys.executable, "-c", RESUME, *files], check=True)
    assert_identical(weights, weights_in(modified, modified.snapshot(MAX_ITER, "resumed")))
    assert Path(modified.record_file).read_text() == record


def test_a_new_solver_in_the_same_process_goes_on_bit_by_bit(uninterrupted: Any) -> None:
    modified, weights, record = uninterrupted
    modified.solver(name="resumed", **RUN).step(4)
    solver = modified.solver(name="resumed", load=False, **RUN)
    solver.restore(modified.snapshot(4, "resumed", "solverstate"))
    solver.solve()
    assert_identical(weights, weights_in(modified, modified.snapshot(MAX_ITER, "resumed")))
    assert Path(modified.record_file).read_text() == record


def calibrated_bounds(modified: Modified, batches: int) -> Any:
    """Return (clip_max, clip_min) that IFMR finds in the first ``batches`` batches."""
    data = np.load(modified.folder / "data.npz")["data"]
    order = [np.arange(i * BATCH, (i + 1) * BATCH) % len(data) for i in range(batches)]
    return affine.bounds(*ifmr.calibrate([data[rows] for rows in order]))


def test_interruption_during_initialisation_starts_it_again_and_says_so(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    modified = small_network(bench, batch_num=4, clip_lr_mult=0)
    modified.solver(snapshot=2).step(2)
    solver = modified.solver(load=False, max_iter=6)
    solver.restore(modified.snapshot(2, kind="solverstate"))
    solver.step(1)
    state = solver.net.params["conv_activation_qat"][2].data
    assert state[0] == 1
    assert "'conv': training was interrupted after 2 of 4 batches" in caplog.text
    assert "initialisation starts again" in caplog.text

    solver.step(3)
    bounds = solver.net.params["conv_activation_qat"]
    assert (bounds[0].data[0], bounds[1].data[0]) == calibrated_bounds(modified, 4)


def test_going_back_to_an_earlier_snapshot_forgets_the_batches_seen_since(bench: Bench) -> None:
    """A calibration over stale batches would count some of them twice."""
    modified = small_network(bench, batch_num=4, clip_lr_mult=0)
    solver = modified.solver(snapshot=2)
    solver.step(3)
    solver.restore(modified.snapshot(2, kind="solverstate"))
    solver.step(1)
    assert solver.net.params["conv_activation_qat"][2].data[0] == 1
