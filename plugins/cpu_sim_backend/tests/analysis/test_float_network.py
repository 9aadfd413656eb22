"""The float network as the deployable one has it."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

from amct_core.errors import ModelError
from amct_core.graph.attributes import BatchNorm, Scale
from amct_core.ptq.improvements.equalization import equalized
from amct_core.quantized_graph import quantized_graph
from cpu_sim_backend.analysis.float_network import float_counterpart, logits, same_values
from cpu_sim_backend.analysis.sensitivity import measure_sensitivity

from .small_network import NETWORK, float_network, folded, graph_of, images, quantized, weights

CHAIN = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 6 dim: 6 } } }
layer { name: "a" type: "Convolution" bottom: "data" top: "a"
  convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "relu" type: "ReLU" bottom: "a" top: "a" }
layer { name: "b" type: "Convolution" bottom: "a" top: "b"
  convolution_param { num_output: 2 kernel_size: 3 } }
"""


def chain(seed: int = 0):
    """Return two convolutions whose channels have very different ranges."""
    generator = np.random.default_rng(seed)
    factors = np.float32([0.01, 1, 30, 1])
    first = generator.normal(size=(4, 3, 3, 3)).astype(np.float32) * factors[:, None, None, None]
    second = generator.normal(size=(2, 4, 3, 3)).astype(np.float32) / factors[:, None, None]
    blobs = {
        "a": [first, np.zeros(4, np.float32)],
        "b": [second, np.zeros(2, np.float32)],
    }
    return graph_of(CHAIN, blobs)


def test_what_was_folded_is_folded() -> None:
    graph, data = float_network(), images(4)
    deployed = quantized_graph(quantized(folded(graph), data))
    found = float_counterpart(graph, deployed)
    assert not [node for node in found.nodes if isinstance(node.attributes, (BatchNorm, Scale))]
    np.testing.assert_array_equal(
        found.node("first").weights[0], folded(graph).node("first").weights[0]
    )


def test_what_was_not_folded_stays() -> None:
    graph, data = float_network(), images(4)
    model = quantized(graph, data)
    found = float_counterpart(graph, quantized_graph(model))
    assert [node.name for node in found.nodes] == [node.name for node in graph.nodes]
    assert [type(node.attributes) for node in found.nodes] == [
        type(node.attributes) for node in graph.nodes
    ]
    report = measure_sensitivity(graph, quantized_graph(model), [{"data": data}])
    assert all(0 < each.quantized_alone < 1 for each in report.layers.values())


def test_an_equalized_network_is_compared_with_equalized_weights() -> None:
    graph, data = chain(), images(4)
    deployed = quantized_graph(quantized(equalized(graph), data, ["a", "b"]))
    found = float_counterpart(graph, deployed)
    for name in ("a", "b"):
        np.testing.assert_array_equal(
            found.node(name).weights[0], equalized(graph).node(name).weights[0]
        )


def test_a_network_that_was_not_equalized_keeps_its_weights() -> None:
    graph, data = chain(), images(4)
    found = float_counterpart(graph, quantized_graph(quantized(graph, data, ["a", "b"])))
    np.testing.assert_array_equal(found.node("a").weights[0], graph.node("a").weights[0])


def test_trained_weights_do_not_change_those_in_float() -> None:
    graph, data = chain(0), images(4)
    deployed = quantized_graph(quantized(chain(1), data, ["a", "b"]))
    found = float_counterpart(graph, deployed)
    np.testing.assert_array_equal(found.node("a").weights[0], graph.node("a").weights[0])


def test_another_network_is_refused_with_the_layers_that_differ() -> None:
    data = images(4)
    deployed = quantized_graph(quantized(folded(float_network()), data))
    renamed = NETWORK.replace('"left"', '"links"')
    blobs = {{"left": "links"}.get(name, name): each for name, each in weights(0).items()}
    with pytest.raises(ModelError, match=r"\['left'\].* are missing, .*\['links'\]"):
        float_counterpart(graph_of(renamed, blobs), deployed)


def test_weights_of_another_shape_are_refused() -> None:
    data = images(4)
    graph = float_network()
    deployed = quantized_graph(quantized(folded(graph), data))
    other = graph.replace(
        attrs.evolve(node, weights=(node.weights[0][:, :-1], node.weights[1]))
        if node.name == "ip"
        else node
        for node in graph.nodes
    )
    with pytest.raises(ModelError, match=r"\(5, 143\); expected \(5, 144\)"):
        float_counterpart(other, deployed)


def test_outputs_are_the_same_values_in_both_networks() -> None:
    graph, data = float_network(), images(4)
    deployed = quantized_graph(quantized(folded(graph), data))
    values = logits(deployed)
    assert [value.name for value in values] == ["ip"]
    (same,) = same_values(deployed, folded(graph), values)
    assert folded(graph).producer(same) is not None


def test_an_output_that_is_no_softmax_is_compared_itself() -> None:
    graph = graph_of(NETWORK.replace("Softmax", "Sigmoid"), weights(0))
    deployed = quantized_graph(quantized(folded(graph), images(4)))
    assert [value.name for value in logits(deployed)] == ["prob"]
