"""Cross-layer equalization, rule by rule, and on real networks."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from amct_caffe.model.to_graph import to_graph
from amct_caffe.passes.insert_calibration import rebuilt
from amct_core.graph import Graph
from amct_core.plugins import registries
from amct_core.ptq.fusion import fuse
from amct_core.ptq.improvements.equalization import Pair, equalized, find_pairs
from amct_core.workflow import frontend_for
from cpu_sim_backend import Simulator
from plugins.amct_caffe.tests.passes.networks import network

SHARED = Path(os.environ.get("AMCT_SHARED", Path(__file__).resolve().parents[5] / "shared"))

INPUT = 'input: "data" input_shape { dim: 1 dim: 3 dim: 6 dim: 6 }\n'


def conv(name: str, bottom: str, more: str = "") -> str:
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" '
        f"convolution_param {{ num_output: 4 kernel_size: 3 pad: 1 {more} }} }}\n"
    )


def layer(name: str, kind: str, bottom: str, more: str = "") -> str:
    return f'layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" top: "{name}" {more} }}\n'


INNER_PRODUCT = layer("ip", "InnerProduct", "pool", "inner_product_param { num_output: 2 }")
POOL = layer("pool", "Pooling", "relu", "pooling_param { pool: MAX kernel_size: 2 stride: 2 }")
SHAPES = {
    "first": [(4, 3, 3, 3), (4,)],
    "second": [(4, 4, 3, 3), (4,)],
    "depthwise": [(4, 1, 3, 3), (4,)],
    "grouped": [(4, 2, 3, 3), (4,)],
    "other": [(4, 4, 3, 3), (4,)],
    "ip": [(2, 36), (2,)],
}


def graph_of(text: str) -> Graph:
    return to_graph(network(INPUT + text, SHAPES), "TEST")


def pairs(text: str) -> tuple[Pair, ...]:
    return find_pairs(graph_of(text)).treated


def outputs(graph: Graph, data: np.ndarray) -> np.ndarray:
    (output,) = (
        Simulator.from_graph(rebuilt(graph), engine="reference").run({"data": data}).values()
    )
    return output


RELU = layer("relu", "ReLU", "first")
LEAKY = layer("relu", "ReLU", "first", "relu_param { negative_slope: 0.1 }")
NETWORKS = {
    "two convolutions": conv("first", "data") + RELU + conv("second", "relu"),
    "a leaky ReLU": conv("first", "data") + LEAKY + conv("second", "relu"),
    "a depthwise convolution": conv("first", "data")
    + RELU
    + conv("depthwise", "relu", "group: 4")
    + conv("second", "depthwise"),
    "a grouped convolution": conv("first", "data") + RELU + conv("grouped", "relu", "group: 2"),
    "feature maps read by an InnerProduct": conv("first", "data") + RELU + POOL + INNER_PRODUCT,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_what_the_network_computes_stays_the_same(name: str) -> None:
    graph = graph_of(NETWORKS[name])
    result = equalized(graph)
    data = np.random.default_rng(0).normal(size=(2, 3, 6, 6)).astype(np.float32)
    expected = outputs(graph, data)
    np.testing.assert_allclose(
        outputs(result, data), expected, rtol=0, atol=1e-5 * np.abs(expected).max()
    )
    assert any((result.node(n).weights[0] != graph.node(n).weights[0]).any() for n in ("first",))


def test_both_layers_of_a_pair_have_equal_ranges_in_each_channel() -> None:
    result = equalized(graph_of(NETWORKS["two convolutions"]))
    made = np.abs(result.node("first").weights[0]).max(axis=(1, 2, 3))
    read = np.abs(result.node("second").weights[0]).max(axis=(0, 2, 3))
    np.testing.assert_allclose(made, read, rtol=1e-3)


def test_the_network_that_is_given_stays_as_it_is() -> None:
    graph = graph_of(NETWORKS["two convolutions"])
    before = graph.node("first").weights[0].copy()
    equalized(graph)
    np.testing.assert_array_equal(graph.node("first").weights[0], before)


@pytest.mark.parametrize("kind", ["Sigmoid", "TanH", "ELU", "LRN"])
def test_2_what_does_not_pass_factors_through_ends_the_way(kind: str) -> None:
    text = conv("first", "data") + layer("between", kind, "first") + conv("second", "between")
    assert pairs(text) == ()
    reason = find_pairs(graph_of(text)).untreated[0].reason
    assert "'between'" in reason and kind in reason


def test_3_a_value_with_two_readers_ends_the_way() -> None:
    text = conv("first", "data") + RELU + conv("second", "relu") + conv("other", "relu")
    assert pairs(text) == ()
    assert "'second', 'other'" in find_pairs(graph_of(text)).untreated[0].reason


def test_3_a_value_added_to_another_ends_the_way() -> None:
    total = 'layer { name: "sum" type: "Eltwise" bottom: "first" bottom: "other" top: "sum" }\n'
    text = conv("second", "data").replace("second", "first")
    text += conv("other", "first") + conv("second", "other")
    assert pairs(text) == (Pair("first", "other"), Pair("other", "second"))
    assert pairs(text.replace('bottom: "other"', 'bottom: "sum"') + total) == ()


def test_4_a_dead_channel_stays_dead_and_finite() -> None:
    graph = graph_of(NETWORKS["two convolutions"])
    graph.node("first").weights[0][1] = 0
    graph.node("second").weights[0][:, 2] = 0
    result = equalized(graph)
    for name in ("first", "second"):
        assert np.isfinite(result.node(name).weights[0]).all()
    assert (result.node("first").weights[0][1] == 0).all()


@pytest.mark.parametrize(
    ("model", "weights", "least"),
    [
        ("lenet/lenet.prototxt", "lenet/lenet_iter_10000.caffemodel", 3),
        (
            "mobilenet_v2_cifar/mobilenet_v2_cifar.prototxt",
            "mobilenet_v2_cifar/mobilenet_v2_cifar.caffemodel",
            17,
        ),
        ("squeezenet/SqueezeNet_deploy.prototxt", "squeezenet/squeezenet_v1.0.caffemodel", 1),
    ],
)
def test_real_networks_compute_the_same(model: str, weights: str, least: int) -> None:
    model, weights = (str(SHARED / "models" / each) for each in (model, weights))
    if not Path(model).exists():
        pytest.skip("no real models")
    graph = fuse(frontend_for(model, registries()).read(model, weights).test)
    assert len(find_pairs(graph).treated) == least
    before, after = (Simulator.from_graph(rebuilt(each)) for each in (graph, equalized(graph)))
    shape = (2, *before.inputs["data"][1:])
    data = {"data": np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)}
    for blob, expected in before.run(data).items():
        found = after.run(data)[blob]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
