"""What went wrong in AMCT's own QAT layers, here with networks that provoke it most.

The plain form of each hazard is tested where its subject is:

1. A TEST pass or a resume overwrites the master weights with quantized ones: ``test_state.py``
   (``..._leaves_master_weights_alone``), ``test_resume.py``.
2. A TEST pass, a second solver or a resume initialises learned bounds again: ``test_state.py``
   (``..._leaves_learned_bounds_alone``, ``..._does_not_initialise_learned_bounds_again``).
   Below: two solvers that train in turn.
3. clip_max is computed from the clip_min before initialisation: ``test_state.py``
   (``test_initial_clip_max_does_not_depend_on_the_clip_min_before``).
4. Gradients of bounds are halved by ``iter_size: 2``: ``test_state.py``
   (``test_iter_size_two_equals_one_batch_of_double_size``), ``test_gradients.py``.
5. A changed batch or image size aborts or writes past a buffer: ``test_reshape.py``.
   Below: TRAIN and TEST of different sizes in one solver, and the saved model.
6. Gradients of bounds that are summed in float32 drift on large blobs: ``test_gradients.py``.
   Below: ten million equal terms, in each region of the grid.
7. The record is cut when a layer is set up again: ``test_state.py``
   (``test_setting_up_the_network_again_leaves_the_record_alone``).
   Below: a second solver in the middle of training.
8. Layer names with ``-``: ``test_state.py`` (``test_layer_names_with_dashes_...``).
   Below: names that differ in nothing else, up to the deployable model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Sequence

import numpy as np
import pytest

from amct_caffe.model.formats.prototxt import document as documents
from plugins.amct_caffe.tests.qat import nets
from plugins.amct_caffe.tests.qat.bench import Bench, Modified, blobs_of
from plugins.amct_caffe.tests.qat.reference import Grid
from plugins.amct_caffe.tests.qat.test_reshape import SIZES, feed, pointwise_network

pytestmark = pytest.mark.caffe

GRID = Grid(clip_max=1.25, clip_min=-0.8125)
BOUNDS = {"clip_max": GRID.clip_max, "clip_min": GRID.clip_min}


def three_layers(bench: Bench, **config: Any) -> Modified:
    """Return a network of three quantized layers and 12 samples in batches of 3."""
    random = np.random.default_rng(12)
    data, label = random.normal(0, 1, (12, 2, 6, 6)), random.normal(0, 2, (12, 3))
    file = bench.data(data=data, label=label)
    return bench.modify(
        nets.batches(file, ["data", "label"], 3),
        nets.convolution("first", "data", 4, 3),
        nets.relu("relu", "first"),
        nets.convolution("second", "first", 4, 3),
        nets.inner_product("third", "second", 3),
        nets.euclidean_loss("third"),
        **config,
    )


def test_hazard_2_two_solvers_that_train_in_turn_do_not_touch_each_other(bench: Bench) -> None:
    modified = three_layers(bench, batch_num=2)

    def bits(solver: Any) -> Dict[str, bytes]:
        return {name: array.tobytes() for name, array in blobs_of(solver.net).items()}

    alone = modified.solver(name="alone")
    alone.step(5)
    one, two = modified.solver(name="one"), modified.solver(name="two")
    two.step(1)  # the two are at different batches while they initialise
    for _ in range(4):
        one.step(1)
        two.step(1)
    one.step(1)
    assert bits(one) == bits(alone)
    assert bits(two) == bits(alone)


@pytest.mark.parametrize("test_size", [(1, 2, 3), (7, 16, 9)], ids=["smaller", "larger"])
def test_hazard_5_testing_may_have_other_sizes_than_training(
    bench: Bench, test_size: Sequence[int]
) -> None:
    random = np.random.default_rng(13)
    sources = []
    for phase, (batch, height, width) in {"TRAIN": (4, 8, 6), "TEST": test_size}.items():
        file = bench.data(
            phase,
            data=random.normal(0, 1, (batch, 3, height, width)),
            label=random.normal(0, 1, (batch, 5, height, width)),
        )
        sources.append(nets.batches(file, ["data", "label"], batch, phase, f"source_{phase}"))
    modified = bench.modify(
        *sources,
        nets.convolution("conv", "data", 5, 1),
        nets.euclidean_loss("conv"),
        data_config={**BOUNDS, "clip_lr_mult": 0},
    )
    solver = modified.solver(test_interval=1, max_iter=3)
    solver.solve()

    net = solver.test_nets[0]
    weights, bias = (blob.data for blob in net.params["conv"])
    x = GRID.quantized(net.blobs["data"].data)
    y = np.einsum("oc,bchw->bohw", weights[:, :, 0, 0], x) + bias[:, None, None]
    assert y.shape == (test_size[0], 5, *test_size[1:])
    np.testing.assert_allclose(net.blobs["conv"].data, y, atol=1e-5)


def test_hazard_5_the_saved_model_takes_other_sizes_too(bench: Bench) -> None:
    modified = pointwise_network(bench, data_config=BOUNDS, shift_n_algo="none")
    trained = modified.net()
    feed(trained, SIZES[0], 0)
    trained.forward()
    snapshot = str(modified.folder / "trained.caffemodel")
    trained.save(snapshot)
    model, weights = modified.save(snapshot)

    saved = bench.caffe.Net(model, bench.caffe.TEST, weights=weights)
    test = modified.net(snapshot, bench.caffe.TEST)
    for seed, shape in enumerate(SIZES):
        for net in (saved, test):
            feed(net, shape, seed)
            net.forward()
        np.testing.assert_allclose(
            saved.blobs["conv"].data, test.blobs["conv"].data, rtol=0, atol=1e-5
        )


REGIONS = {"above": 2.0, "inside": 0.4 * GRID.step, "below": -2.0}
"""Inputs whose gradients of bounds follow different formulas."""


@pytest.mark.parametrize("region", REGIONS)
def test_hazard_6_ten_million_equal_terms_are_summed_without_drift(
    bench: Bench, region: str
) -> None:
    side = 3200
    filler = f'{{ type: "constant" value: {REGIONS[region]!r} }}'
    shape = f"shape {{ dim: 1 dim: 1 dim: {side} dim: {side} }}"
    modified = bench.modify(
        nets.layer(
            "data", "DummyData", body=f"dummy_data_param {{ {shape} data_filler {filler} }}"
        ),
        nets.convolution("conv", "data", 1, 1),
        nets.layer("loss", "Reduction", ["conv"], body="loss_weight: 0.001"),
        blobs={"conv": [np.full((1, 1, 1, 1), 0.7), np.zeros(1)]},
        data_config=BOUNDS,
    )
    net = modified.net()
    net.forward()
    net.clear_param_diffs()
    net.backward()

    gradient = net.blobs["conv_activation_qat"].diff
    assert gradient.size > 10_000_000
    assert gradient.min() == gradient.max()
    value = net.blobs["data"].data.flat[0]
    _, *one_term = GRID.backward(value, gradient.flat[0])
    sums = [float(blob.diff[0]) for blob in net.params["conv_activation_qat"]][:2]
    np.testing.assert_allclose(sums, np.multiply(one_term, gradient.size), rtol=1e-5)
    for term in one_term:
        naive = np.cumsum(np.full(gradient.size, term, np.float32), dtype=np.float32)[-1]
        drift = abs(naive / (term * gradient.size) - 1)
        assert drift > 0.01, "this blob would not tell float32 sums apart"


def test_hazard_7_a_second_solver_in_the_middle_of_training_cuts_nothing_from_the_record(
    bench: Bench,
) -> None:
    modified = three_layers(bench, batch_num=2)

    def assert_each_layer_once() -> None:
        assert list(modified.record().layers) == ["first", "second", "third"]
        assert Path(modified.record_file).read_text().count("key:") == 3

    one = modified.solver(name="one", test_interval=4, test_iter=2, max_iter=4)
    assert_each_layer_once()
    one.step(1)
    two = modified.solver(name="two", test_interval=2, test_iter=2, max_iter=2)
    assert_each_layer_once()
    two.solve()
    assert_each_layer_once()
    searched = {name: entry.shift_bit for name, entry in modified.record().layers.items()}
    assert all(searched.values())

    one.step(1)
    assert_each_layer_once()
    modified.solver(name="three")
    modified.net(modified.snapshot(2, "two"), modified.caffe.TEST)
    assert_each_layer_once()
    one.solve()
    assert_each_layer_once()
    for entry in modified.record().layers.values():
        assert entry.scale_d is not None
        assert entry.scale_w
        assert entry.shift_bit


def test_hazard_8_layer_names_may_differ_in_nothing_but_a_dash(bench: Bench) -> None:
    names = ["a-1", "a_1", "a-", "-", "a--1"]
    random = np.random.default_rng(14)
    file = bench.data(data=random.normal(0, 1, (4, 2, 7, 7)), label=random.normal(0, 1, (4, 3)))
    modified = bench.modify(
        nets.batches(file, ["data", "label"], 4),
        nets.convolution(names[0], "data", 4, 3),
        nets.convolution(names[1], names[0], 5, 2),
        nets.pooling(names[2], names[1], "AVE", 2, 2),
        nets.inner_product(names[3], names[2], 6),
        nets.inner_product(names[4], names[3], 3),
        nets.euclidean_loss(names[4]),
        shift_n_algo="none",
    )
    modified.solver(max_iter=2).solve()
    files = modified.save(modified.snapshot(2), "Both")
    assert list(modified.record().layers) == names
    assert [len(modified.record().get(name).scale_w) for name in names] == [4, 5, 0, 1, 1]

    deploy_model = str(modified.folder / "saved_deploy_model.prototxt")
    deployed = [layer.name for layer in documents.read(deploy_model).layers]
    assert [name for name in deployed if name in names] == names
    saved = bench.caffe.Net(files[0], bench.caffe.TEST, weights=files[1])
    saved.forward()
    test = modified.net(modified.snapshot(2), bench.caffe.TEST)
    test.forward()
    record, last = modified.record(), names[-1]
    for name in names:
        clip_max, clip_min, _ = (blob.data for blob in test.params[f"{name}_activation_qat"])
        step = Grid(float(clip_max[0]), float(clip_min[0])).step
        assert record.get(name).scale_d == pytest.approx(step, rel=1e-6)
    assert len({record.get(name).scale_d for name in names}) == len(names)
    # Each input of the last layer may be rounded to the neighbouring point of its grid.
    bound = record.get(last).scale_d * np.abs(test.params[last][0].data).sum(axis=1).max()
    np.testing.assert_allclose(saved.blobs[last].data, test.blobs[last].data, rtol=0, atol=bound)
    assert np.ptp(test.blobs[last].data) > 5 * bound
