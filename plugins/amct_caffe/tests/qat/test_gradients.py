"""Gradients inside a real Caffe net equal those of a float64 reference."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np
import pytest
from numpy.typing import NDArray

from plugins.amct_caffe.tests.qat import nets
from plugins.amct_caffe.tests.qat.bench import Bench, Modified, diffs_of
from plugins.amct_caffe.tests.qat.reference import Grid, Product

pytestmark = pytest.mark.caffe

BATCH, INPUTS, OUTPUTS = 5, 12, 7
GRID = Grid(clip_max=1.25, clip_min=-0.8125)
BOUNDS = {"clip_max": GRID.clip_max, "clip_min": GRID.clip_min}
RAW = {"base_lr": 1.0, "momentum": 0.0, "weight_decay": 0.0, "max_iter": 1}
"""A step of such a solver leaves the gradient itself, divided by iter_size, in each diff."""

Array = NDArray[np.float32]


def assert_same(actual: Any, expected: Any) -> None:
    """Compare to 1e-5, relative to the largest entry where there are several."""
    expected = np.asarray(expected)
    limit = 1e-5 * np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=limit)


def random_data(bench: Bench, count: int) -> Tuple[str, Array, Array]:
    """Write ``count`` samples whose values go beyond both bounds; return file, data, labels."""
    random = np.random.default_rng(7)
    data = random.normal(0, 1, (count, INPUTS)).astype(np.float32)
    label = random.normal(3, 1, (count, OUTPUTS)).astype(np.float32)
    assert (data > GRID.clip_max).any()
    assert (data < GRID.clip_min).any()
    return bench.data(data=data, label=label), data, label


def product_of(modified: Modified, name: str) -> Product:
    """Return the reference for one InnerProduct with the weights that training starts from."""
    net = modified.net()
    master, bias = net.params[f"{name}_weight_qat"][0].data, net.params[name][1].data
    return Product(GRID, np.array(master), np.array(bias))


@pytest.mark.parametrize("iter_size", [1, 3])
def test_gradients_of_bounds_and_weights_add_up_over_iter_size(
    bench: Bench, iter_size: int
) -> None:
    file, data, label = random_data(bench, BATCH * iter_size)
    modified = bench.modify(
        nets.batches(file, ["data", "label"], BATCH),
        nets.inner_product("ip", "data", OUTPUTS),
        nets.euclidean_loss("ip"),
        data_config=BOUNDS,
    )
    product = product_of(modified, "ip")

    solver = modified.solver(iter_size=iter_size, **RAW)
    solver.step(1)
    diffs = diffs_of(solver.net)

    weights, clip_max, clip_min = np.zeros((OUTPUTS, INPUTS)), 0.0, 0.0
    for x, y in zip(np.split(data, iter_size), np.split(label, iter_size)):
        gradient = product.loss_gradient(x, y)
        weights += product.weight_gradient(x, gradient)
        _, of_max, of_min = GRID.backward(x, product.input_gradient(gradient))
        clip_max, clip_min = clip_max + of_max, clip_min + of_min
    assert_same(diffs["ip_weight_qat[0]"], weights / iter_size)
    assert_same(diffs["ip_activation_qat[0]"], clip_max / iter_size)
    assert_same(diffs["ip_activation_qat[1]"], clip_min / iter_size)


def test_gradient_of_the_input_passes_where_it_is_not_clipped(bench: Bench) -> None:
    file, _, label = random_data(bench, BATCH)
    modified = bench.modify(
        nets.batches(file, ["data", "label"], BATCH),
        nets.inner_product("below", "data", INPUTS),
        nets.inner_product("ip", "below", OUTPUTS),
        nets.euclidean_loss("ip"),
        enable=["ip"],
        data_config=BOUNDS,
    )
    product = product_of(modified, "ip")
    net = modified.net()
    net.forward()
    net.backward()

    x = np.array(net.blobs["below"].data)
    gradient = product.input_gradient(product.loss_gradient(x, label))
    expected, _, _ = GRID.backward(x, gradient)
    assert 0 < np.count_nonzero(expected) < expected.size
    assert_same(net.blobs["below"].diff, expected)


def test_two_quantized_readers_of_one_blob_share_one_pair_of_bounds(bench: Bench) -> None:
    file, data, label = random_data(bench, BATCH)
    modified = bench.modify(
        nets.batches(file, ["data", "label"], BATCH),
        nets.inner_product("left", "data", OUTPUTS),
        nets.inner_product("right", "data", OUTPUTS),
        nets.euclidean_loss("left", name="left_loss"),
        nets.euclidean_loss("right", name="right_loss"),
        data_config=BOUNDS,
    )
    left, right = product_of(modified, "left"), product_of(modified, "right")

    solver = modified.solver(**RAW)
    solver.step(1)
    diffs = diffs_of(solver.net)

    assert [name for name in solver.net.params if "activation_qat" in name] == [
        "left_activation_qat"
    ]
    of_left, of_right = left.loss_gradient(data, label), right.loss_gradient(data, label)
    gradient = left.input_gradient(of_left) + right.input_gradient(of_right)
    _, clip_max, clip_min = GRID.backward(data, gradient)
    assert_same(diffs["left_activation_qat[0]"], clip_max)
    assert_same(diffs["left_activation_qat[1]"], clip_min)
    assert_same(diffs["left_weight_qat[0]"], left.weight_gradient(data, of_left))
    assert_same(diffs["right_weight_qat[0]"], right.weight_gradient(data, of_right))


@pytest.mark.parametrize("iter_size", [1, 3])
def test_weights_that_the_user_shares_have_one_master_with_the_sum_of_gradients(
    bench: Bench, iter_size: int
) -> None:
    file, data, label = random_data(bench, BATCH * iter_size)
    rows = np.random.default_rng(8).normal(0, 1, data.shape).astype(np.float32)
    other_file = bench.data("other", other=rows)
    shared = 'param { name: "w" }'
    modified = bench.modify(
        nets.batches(file, ["data", "label"], BATCH),
        nets.batches(other_file, ["other"], BATCH, name="other_source"),
        nets.inner_product("left", "data", OUTPUTS, shared),
        nets.inner_product("right", "other", OUTPUTS, shared),
        nets.euclidean_loss("left", name="left_loss"),
        nets.euclidean_loss("right", name="right_loss"),
        data_config=BOUNDS,
    )
    left, right = product_of(modified, "left"), product_of(modified, "right")
    np.testing.assert_array_equal(left.weights, right.weights)

    solver = modified.solver(iter_size=iter_size, **RAW)
    solver.step(1)
    diffs = diffs_of(solver.net)

    expected = np.zeros((OUTPUTS, INPUTS))
    parts = (np.split(array, iter_size) for array in (data, rows, label))
    for x_left, x_right, y in zip(*parts):
        expected += left.weight_gradient(x_left, left.loss_gradient(x_left, y))
        expected += right.weight_gradient(x_right, right.loss_gradient(x_right, y))
    assert_same(diffs["left_weight_qat[0]"], expected / iter_size)
    after = solver.net.params
    np.testing.assert_array_equal(
        after["left_weight_qat"][0].data, after["right_weight_qat"][0].data
    )


def test_the_solver_moves_the_master_and_not_the_quantized_weights(bench: Bench) -> None:
    file, _, _ = random_data(bench, BATCH)
    modified = bench.modify(
        nets.batches(file, ["data", "label"], BATCH),
        nets.inner_product("ip", "data", OUTPUTS),
        nets.euclidean_loss("ip"),
        data_config=BOUNDS,
    )
    solver = modified.solver()
    quantized = np.array(solver.net.params["ip"][0].data)
    master = np.array(solver.net.params["ip_weight_qat"][0].data)
    solver.step(1)
    np.testing.assert_array_equal(solver.net.params["ip"][0].data, quantized)
    assert not np.array_equal(solver.net.params["ip_weight_qat"][0].data, master)


def test_quantized_weights_do_not_decay(bench: Bench) -> None:
    file, _, _ = random_data(bench, BATCH)
    modified = bench.modify(
        nets.batches(file, ["data", "label"], BATCH),
        nets.inner_product("ip", "data", OUTPUTS),
        nets.euclidean_loss("ip"),
        data_config=BOUNDS,
    )
    solver = modified.solver(weight_decay=0.5)
    fixed = {
        name: np.array(solver.net.params[layer][index].data)
        for name, layer, index in (
            ("quantized weights", "ip", 0),
            ("scale_w", "ip_weight_qat", 2),
        )
    }
    solver.step(1)
    np.testing.assert_array_equal(solver.net.params["ip"][0].data, fixed["quantized weights"])
    np.testing.assert_array_equal(solver.net.params["ip_weight_qat"][2].data, fixed["scale_w"])
    assert solver.net.params["ip_activation_qat"][2].data[0] == 1


def test_clip_min_stands_still_where_the_input_cannot_be_negative(bench: Bench) -> None:
    file, _, _ = random_data(bench, BATCH)
    modified = bench.modify(
        nets.batches(file, ["data", "label"], BATCH),
        nets.inner_product("below", "data", INPUTS),
        nets.relu("relu", "below"),
        nets.inner_product("ip", "below", OUTPUTS),
        nets.euclidean_loss("ip"),
        enable=["ip"],
    )
    solver = modified.solver(**RAW)
    solver.step(1)
    assert solver.net.params["ip_activation_qat"][0].diff[0] != 0
    assert solver.net.params["ip_activation_qat"][1].diff[0] == 0
    assert solver.net.params["ip_activation_qat"][1].data[0] == 0


@pytest.mark.parametrize("sign", [1, -1])
def test_gradients_of_bounds_do_not_drift_on_large_blobs(bench: Bench, sign: int) -> None:
    """A float32 sum over 4 million like terms would lose its last digits one by one."""
    shape = (4, 1, 1024, 1024)
    random = np.random.default_rng(11)
    data = sign * random.uniform(1.5, 2.5, shape)
    label = np.full(shape, sign * 9.1)
    file = bench.data(data=data, label=label)
    weight, bias = np.full((1, 1, 1, 1), 0.7), np.zeros(1)
    modified = bench.modify(
        nets.batches(file, ["data", "label"], len(data)),
        nets.convolution("conv", "data", 1, 1),
        nets.euclidean_loss("conv"),
        blobs={"conv": [weight, bias]},
        data_config=BOUNDS,
    )
    net = modified.net()
    net.forward()
    net.clear_param_diffs()
    net.backward()

    x = np.array(net.blobs["data"].data)
    top_diff = np.array(net.blobs["conv"].diff)
    scaled = np.asarray(top_diff, np.float64) * float(np.float32(0.7))
    _, clip_max, clip_min = GRID.backward(x, scaled)
    gradients = net.params["conv_activation_qat"]
    assert_same(gradients[0].diff[0], clip_max)
    assert_same(gradients[1].diff[0], clip_min)
    naive = np.cumsum(np.asarray(scaled, np.float32).ravel(), dtype=np.float32)[-1]
    assert abs(naive / scaled.sum() - 1) > 1e-5, "this blob would not tell float32 sums apart"
