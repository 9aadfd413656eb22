"""Batch and image size may change between forwards."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from amct_core.numerics import affine, ifmr
from plugins.amct_caffe.tests.qat import nets
from plugins.amct_caffe.tests.qat.bench import Bench, Modified
from plugins.amct_caffe.tests.qat.reference import Grid, quantized_weights

pytestmark = pytest.mark.caffe

GRID = Grid(clip_max=1.25, clip_min=-0.8125)
SIZES = [(4, 3, 6, 6), (2, 3, 9, 5), (7, 3, 12, 12), (1, 3, 1, 1)]
OUTPUTS = 5


def pointwise_network(bench: Bench, **config: Any) -> Modified:
    """Return a 1 x 1 convolution that takes images of any size."""
    inputs = [
        nets.layer(name, "Input", body=f"input_param {{ shape {{ {dims} }} }}")
        for name, dims in (
            ("data", "dim: 4 dim: 3 dim: 6 dim: 6"),
            ("label", f"dim: 4 dim: {OUTPUTS} dim: 6 dim: 6"),
        )
    ]
    parameters = 'num_output: 5 kernel_size: 1 weight_filler { type: "xavier" }'
    return bench.modify(
        *inputs,
        nets.layer("conv", "Convolution", ["data"], body=f"convolution_param {{ {parameters} }}"),
        nets.euclidean_loss("conv"),
        **config,
    )


def feed(net: Any, shape: Sequence[int], seed: int) -> NDArray[np.float32]:
    """Reshape the net's inputs, fill them with random numbers, and return the data."""
    random = np.random.default_rng(seed)
    batch, _, height, width = shape
    for name, channels in (("data", 3), ("label", OUTPUTS)):
        net.blobs[name].reshape(batch, channels, height, width)
    net.reshape()
    for name in ("data", "label"):
        net.blobs[name].data[...] = random.normal(0, 1, net.blobs[name].shape)
    return np.array(net.blobs["data"].data)


def test_forward_and_backward_follow_the_size(bench: Bench) -> None:
    modified = pointwise_network(
        bench, data_config={"clip_max": GRID.clip_max, "clip_min": GRID.clip_min}
    )
    net = modified.net()
    master = net.params["conv_weight_qat"][0].data[:, :, 0, 0]
    weights = np.stack([quantized_weights(channel) for channel in master])
    for seed, shape in enumerate(SIZES):
        x = feed(net, shape, seed)
        net.forward()
        net.clear_param_diffs()
        net.backward()

        y = np.einsum("oc,bchw->bohw", weights, GRID.quantized(x))
        np.testing.assert_allclose(net.blobs["conv"].data, y, atol=1e-5)
        gradient = (y - net.blobs["label"].data) / len(x)
        _, clip_max, clip_min = GRID.backward(x, np.einsum("oc,bohw->bchw", weights, gradient))
        diffs = [float(net.params["conv_activation_qat"][i].diff[0]) for i in range(2)]
        np.testing.assert_allclose(diffs, [clip_max, clip_min], rtol=1e-5, atol=1e-6)


def test_initialisation_takes_batches_of_any_size(bench: Bench) -> None:
    net = pointwise_network(bench, batch_num=len(SIZES)).net()
    seen = []
    for seed, shape in enumerate(SIZES):
        seen.append(feed(net, shape, seed))
        net.forward()
    expected = affine.bounds(*ifmr.calibrate(np.concatenate([x.ravel() for x in seen])))
    bounds = net.params["conv_activation_qat"]
    assert (bounds[0].data[0], bounds[1].data[0]) == expected


def test_a_search_for_n_takes_batches_of_any_size(bench: Bench) -> None:
    modified = pointwise_network(bench, batch_num=len(SIZES))
    snapshot = str(modified.folder / "trained.caffemodel")
    net = modified.net()
    for seed, shape in enumerate(SIZES):
        feed(net, shape, seed)
        net.forward()
    net.save(snapshot)
    test = modified.net(snapshot, modified.caffe.TEST)
    for seed, shape in enumerate(SIZES):
        assert not modified.record().get("conv").shift_bit
        feed(test, shape, seed)
        test.forward()
    assert len(modified.record().get("conv").shift_bit) == OUTPUTS
