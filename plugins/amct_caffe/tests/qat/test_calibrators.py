"""Every registered calibrator finds the first bounds of a layer in Caffe."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from amct_core.numerics import affine
from amct_core.plugins import registries
from plugins.amct_caffe.tests.qat import nets
from plugins.amct_caffe.tests.qat.bench import Bench, Modified

pytestmark = pytest.mark.caffe

STREAMING = ("hfmg", "min_max", "percentile", "mse", "kl")
BATCH, BATCH_NUM = 4, 3


def small_network(bench: Bench, **data_config: Any) -> Modified:
    """Return a network of two layers whose inputs are of both signs, and of one."""
    random = np.random.default_rng(5)
    data, label = random.standard_t(4, (BATCH * 4, 2, 6, 6)), random.normal(0, 2, (BATCH * 4, 3))
    file = bench.data(data=data, label=label)
    return bench.modify(
        nets.batches(file, ["data", "label"], BATCH),
        nets.convolution("conv", "data", 4, 3),
        nets.relu("relu", "conv"),
        nets.inner_product("ip", "conv", 3),
        nets.euclidean_loss("ip"),
        batch_num=BATCH_NUM,
        data_config=data_config,
    )


def bounds(net: Any, layer: str) -> Any:
    """Return (clip_max, clip_min) of a layer's input."""
    blobs = net.params[f"{layer}_activation_qat"]
    return blobs[0].data[0], blobs[1].data[0]


@pytest.mark.parametrize("algorithm", STREAMING)
def test_first_bounds_are_those_of_the_algorithm_over_the_first_batches(
    bench: Bench, algorithm: str
) -> None:
    modified = small_network(bench, init_algo=algorithm)
    net = modified.net()
    runs = {layer: registries().calibrators.get(algorithm).start() for layer in ("conv", "ip")}
    inputs = {"conv": "data", "ip": "conv"}
    for _ in range(BATCH_NUM):
        net.forward()
        for layer, run in runs.items():
            run.observe(np.array(net.blobs[inputs[layer]].data))
            expected = affine.bounds(*run.result())
            assert bounds(net, layer) == expected
    net.forward()
    for layer, run in runs.items():
        assert bounds(net, layer) == affine.bounds(*run.result())
        recorded = modified.record().get(layer)
        factors = affine.scale_offset(*bounds(net, layer))
        assert (recorded.scale_d, recorded.offset_d) == factors


def test_algorithms_differ(bench: Bench) -> None:
    found = set()
    for algorithm in ("ifmr", *STREAMING):
        net = small_network(bench, init_algo=algorithm).net()
        for _ in range(BATCH_NUM):
            net.forward()
        found.add(bounds(net, "conv"))
    assert len(found) >= 5


@pytest.mark.parametrize("algorithm", ["min_max", "mse"])
def test_interruption_during_initialisation_starts_it_again(
    bench: Bench, algorithm: str, caplog: pytest.LogCaptureFixture
) -> None:
    modified = small_network(bench, init_algo=algorithm, clip_lr_mult=0)
    modified.solver(snapshot=1).step(1)
    solver = modified.solver(load=False, max_iter=6)
    solver.restore(modified.snapshot(1, kind="solverstate"))
    run = registries().calibrators.get(algorithm).start()
    for _ in range(BATCH_NUM):
        solver.step(1)
        run.observe(np.array(solver.net.blobs["data"].data))
    assert "initialisation starts again" in caplog.text
    assert bounds(solver.net, "conv") == affine.bounds(*run.result())


@pytest.mark.parametrize("algorithm", STREAMING)
def test_nothing_of_the_batches_is_kept(bench: Bench, algorithm: str) -> None:
    from amct_caffe.runtime.ranks.processes import SharedCalibration

    calibration = SharedCalibration(registries().calibrators.get(algorithm))
    batch = np.random.default_rng(0).normal(0, 1, (4, 8)).astype(np.float32)
    calibration.observe(batch)
    before = calibration.result()
    batch[...] = 1e6  # as Caffe does with a blob's memory
    assert calibration.result() == before
