"""Weight scales that training learns: what is quantized with them, their gradients, saving."""

from __future__ import annotations

from typing import Any, Optional, Tuple

import numpy as np
import pytest

from amct_core.derive import derive
from amct_core.errors import QuantizationError
from amct_core.extensions import ActivationAlgorithm, StateVariable, WeightAlgorithm
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import InnerProduct, Input
from amct_core.numerics import affine, arq
from amct_core.plugins import registries
from amct_core.record import LayerRecord, Record
from amct_core.retrained import RetrainedLayer, RetrainedNetwork
from amct_core.weight_quantization import (
    fake_quantize_into,
    learned_gradients,
    quantize_weights,
    usable_scales,
)

SMALLEST = np.float32(affine.FLT_EPSILON)
WEIGHTS = np.array([[1.0, -3.0, 0.5], [0.25, 2.0, -1.0]], np.float32)
LEARNED = np.array([0.5, 0.25], np.float32)


def refuses(weights: Any, channel_axis: Optional[int] = None) -> Any:
    raise AssertionError("scales are computed although they are learned")


def gradients(weights: Any, top_diff: Any, scale: Any, axis: Optional[int]) -> Tuple[Any, Any]:
    """Return what tells from where each value came: nothing that a real algorithm would."""
    return weights * top_diff, scale * (weights * top_diff).sum(axis=1)


MINE = WeightAlgorithm("mine", refuses, arq.quantize, backward=gradients)


@pytest.mark.parametrize("gamma", [None, np.float32([1, -1])], ids=["no Scale", "both signs"])
def test_weights_are_quantized_with_the_scales_that_were_learned(gamma: Any) -> None:
    found = quantize_weights(WEIGHTS, MINE, 0, True, gamma, LEARNED)
    assert np.array_equal(found.scale_w, LEARNED)
    signs = np.float32([1, 1 if gamma is None else -1])[:, np.newaxis]
    assert np.array_equal(found.integers, np.rint(signs * WEIGHTS / LEARNED[:, np.newaxis]))
    out = np.empty_like(WEIGHTS)
    scale = fake_quantize_into(out, WEIGHTS, MINE, 0, True, gamma, LEARNED)
    assert np.array_equal(out, found.fake_quantized())
    assert np.array_equal(scale, LEARNED)


def test_gradients_of_channels_that_are_turned_around_are_those_of_the_turned_weights() -> None:
    top_diff = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], np.float32)
    gamma = np.float32([1, -2])
    d_weights, d_scale = learned_gradients(WEIGHTS, top_diff, MINE, 0, True, gamma, LEARNED)
    # Both turned: their product is not; what comes back is turned once more.
    product = WEIGHTS * top_diff
    assert np.array_equal(d_weights, product * np.float32([[1], [-1]]))
    assert np.array_equal(d_scale, LEARNED * product.sum(axis=1))


@pytest.mark.parametrize("learned", [0.0, -1.0, 1e-30])
def test_a_scale_that_has_left_the_range_is_the_smallest_there_is(learned: float) -> None:
    assert usable_scales(np.float32([learned, 0.5])).tolist() == [SMALLEST, 0.5]


@pytest.mark.parametrize("learned", [float("nan"), float("inf"), 1e8])
def test_a_scale_that_has_diverged_is_an_error(learned: float) -> None:
    with pytest.raises(QuantizationError, match="channel 1"):
        usable_scales(np.float32([0.5, learned]))


PLUGINS = registries()


def test_saving_takes_scales_and_values_from_the_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    def factors(clip_max: Any, clip_min: Any, fixed_min: bool, values: Any) -> Tuple[Any, int]:
        return values["kept"][0], 0

    def forward(x: Any, *bounds: Any, values: Any) -> Tuple[Any, Any, int]:
        scale = values["kept"][0]
        q = affine.quantize(x, affine.quant_scale(scale), 0)
        return affine.dequantize(q, 0, scale), scale, 0

    activation = ActivationAlgorithm("mine", forward, min, factors, state=(StateVariable("kept"),))
    for registry, item in (
        (PLUGINS.activation_algorithms, activation),
        (PLUGINS.weight_algorithms, MINE),
    ):
        monkeypatch.setattr(registry, "_items", {**registry._items, "mine": item})
    nodes = (
        Node("data", PLUGINS.layer_type("Input"), (), ("data",), Input(((1, 3),))),
        Node(
            "fc",
            PLUGINS.layer_type("InnerProduct"),
            ("data",),
            ("fc",),
            InnerProduct(2, False, 1, False),
            [WEIGHTS],
        ),
    )
    layer = RetrainedLayer(
        name="fc",
        clip_max=1.0,
        clip_min=0.0,
        fixed_min=False,
        activation_algorithm="mine",
        weight_algorithm="mine",
        channel_wise=True,
        values={"kept": np.float32([0.125])},
        learned_scales=np.float32([0.5, -1.0]),
    )
    network = RetrainedNetwork(Graph("n", nodes), (layer,), "none", "r.txt", "w.caffemodel")
    (saved,) = derive(network, Record({"fc": LayerRecord()}), PLUGINS).layers
    assert saved.provenance.scale_d == np.float32(0.125)
    assert saved.weights is not None and saved.weights[0].tolist() == [2, -6, 1]
    assert saved.deq_scale.tolist() == [0.0625, 0.125 * SMALLEST]
