"""Master weights, learned bounds and the record change in training and at no other time."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest

from amct_core.numerics import affine, ifmr
from plugins.amct_caffe.tests.qat import nets
from plugins.amct_caffe.tests.qat.bench import Bench, Modified, blobs_of

pytestmark = pytest.mark.caffe

BATCH = 4


def small_network(bench: Bench, batch: int = BATCH, **config: Any) -> Modified:
    """Return a network with a quantized convolution and InnerProduct, and 8 samples."""
    random = np.random.default_rng(6)
    data, label = random.normal(0, 1, (8, 2, 6, 6)), random.normal(0, 2, (8, 3))
    file = bench.data(data=data, label=label)
    return bench.modify(
        nets.batches(file, ["data", "label"], batch),
        nets.convolution("conv", "data", 4, 3),
        nets.relu("relu", "conv"),
        nets.inner_product("ip", "conv", 3),
        nets.euclidean_loss("ip"),
        **config,
    )


def run_test_pass(solver: Any, forwards: int = 2) -> None:
    """Run a TEST pass on the weights of ``solver``."""
    solver.test_nets[0].share_with(solver.net)
    for _ in range(forwards):
        solver.test_nets[0].forward()


def masters(net: Any) -> Dict[str, bytes]:
    """Return the bits of all master weights."""
    return {
        name: array.tobytes() for name, array in blobs_of(net).items() if "weight_qat[0]" in name
    }


def bounds(net: Any) -> Dict[str, bytes]:
    """Return the bits of all clip bounds."""
    return {
        name: array.tobytes()
        for name, array in blobs_of(net).items()
        if name.endswith(("activation_qat[0]", "activation_qat[1]"))
    }


def trained(bench: Bench) -> Any:
    """Return a modified network and its solver after four iterations and a snapshot."""
    modified = small_network(bench)
    solver = modified.solver(snapshot=4)
    solver.step(4)
    return modified, solver


def test_a_test_pass_leaves_master_weights_alone(bench: Bench) -> None:
    _, solver = trained(bench)
    before = masters(solver.net)
    run_test_pass(solver)
    assert masters(solver.net) == before
    quantized = np.array(solver.net.params["conv"][0].data)
    assert not np.array_equal(quantized, solver.net.params["conv_weight_qat"][0].data)


def test_a_resume_leaves_master_weights_alone(bench: Bench) -> None:
    modified, solver = trained(bench)
    before = masters(solver.net)
    resumed = modified.solver(load=False)
    resumed.restore(modified.snapshot(4, kind="solverstate"))
    resumed.net.forward()
    run_test_pass(resumed)
    assert masters(resumed.net) == before


def test_a_test_pass_leaves_learned_bounds_alone(bench: Bench) -> None:
    _, solver = trained(bench)
    before = bounds(solver.net)
    run_test_pass(solver)
    assert bounds(solver.net) == before
    assert bounds(solver.test_nets[0]) == before


def test_a_second_solver_does_not_initialise_learned_bounds_again(bench: Bench) -> None:
    modified, solver = trained(bench)
    before = bounds(solver.net)
    second = modified.solver(load=False, name="second")
    second.net.copy_from(modified.snapshot(4))
    second.net.forward()
    assert bounds(second.net) == before
    assert bounds(solver.net) == before


def test_a_resume_does_not_initialise_learned_bounds_again(bench: Bench) -> None:
    modified, solver = trained(bench)
    before = bounds(solver.net)
    resumed = modified.solver(load=False)
    resumed.restore(modified.snapshot(4, kind="solverstate"))
    resumed.net.forward()
    assert bounds(resumed.net) == before


def test_test_passes_during_training_do_not_change_what_it_ends_with(bench: Bench) -> None:
    modified = small_network(bench)
    ends = []
    for interval in (1, 1000):
        solver = modified.solver(test_interval=interval, test_iter=2)
        solver.step(6)
        ends.append({name: array.tobytes() for name, array in blobs_of(solver.net).items()})
    assert ends[0] == ends[1]


@pytest.mark.parametrize("leftover", [-50.0, 0.0])
def test_initial_clip_max_does_not_depend_on_the_clip_min_before(
    bench: Bench, leftover: float
) -> None:
    modified = small_network(bench)
    net = modified.net()
    net.params["conv_activation_qat"][1].data[...] = leftover
    net.forward()
    scale, offset = ifmr.calibrate(np.array(net.blobs["data"].data))
    clip_max, clip_min = affine.bounds(scale, offset)
    assert net.params["conv_activation_qat"][0].data[0] == clip_max
    assert net.params["conv_activation_qat"][1].data[0] == clip_min


def test_iter_size_two_equals_one_batch_of_double_size(bench: Bench) -> None:
    """The solver divides by iter_size what two backward passes added up."""
    given = {"clip_max": 1.25, "clip_min": -0.75}
    updates = []
    for iter_size in (1, 2):
        modified = small_network(bench, batch=8 // iter_size, data_config=given)
        solver = modified.solver(
            iter_size=iter_size, base_lr=1.0, momentum=0.0, weight_decay=0.0, max_iter=1
        )
        solver.step(1)
        params = solver.net.params["conv_activation_qat"]
        updates.append([params[0].diff[0], params[1].diff[0]])
    assert all(abs(update) > 0.01 for update in updates[0])
    np.testing.assert_allclose(updates[1], updates[0], rtol=1e-5)


def test_setting_up_the_network_again_leaves_the_record_alone(bench: Bench) -> None:
    modified, solver = trained(bench)
    run_test_pass(solver)
    before = Path(modified.record_file).read_text()
    assert modified.record().get("ip").shift_bit
    modified.net(modified.snapshot(4))
    modified.net(modified.snapshot(4), modified.caffe.TEST)
    modified.solver(name="another")
    assert Path(modified.record_file).read_text() == before


def test_layer_names_with_dashes_slashes_and_spaces_keep_their_records(bench: Bench) -> None:
    names = ["conv-1", "block/conv 2", "ip-out/x y"]
    random = np.random.default_rng(9)
    file = bench.data(data=random.normal(0, 1, (4, 2, 6, 6)), label=random.normal(0, 1, (4, 3)))
    modified = bench.modify(
        nets.batches(file, ["data", "label"], 4),
        nets.convolution(names[0], "data", 4, 3),
        nets.relu("relu-1", names[0]),
        nets.convolution(names[1], names[0], 5, 3),
        nets.inner_product(names[2], names[1], 3),
        nets.euclidean_loss(names[2]),
    )
    modified.solver(max_iter=2, test_interval=2).solve()
    record = modified.record()
    assert list(record.layers) == names
    for name, channels in zip(names, (4, 5, 1)):
        entry = record.get(name)
        assert entry.scale_d is not None
        assert len(entry.scale_w) == len(entry.shift_bit) == channels

    model, weights = modified.save(modified.snapshot(2))
    saved = bench.caffe.Net(model, bench.caffe.TEST, weights=weights)
    loss = saved.forward()["loss"]
    trained_net = modified.net(modified.snapshot(2), bench.caffe.TEST)
    np.testing.assert_allclose(loss, trained_net.forward()["loss"], rtol=0.02)
    assert list(modified.record().layers) == names
