"""Fusion before calibration, rule by rule; what it computes is compared with Caffe elsewhere."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from amct_caffe.model.to_graph import to_graph
from amct_caffe.passes.insert_calibration import rebuilt
from amct_core.errors import QuantizationError
from amct_core.graph import Graph
from amct_core.graph.attributes import Convolution
from amct_core.ptq.fusion import fuse
from plugins.amct_caffe.tests.passes.networks import (
    BATCH_NORM,
    CONV,
    INPUT,
    SCALE,
    batch_norm,
    conv,
    network,
    relu,
    scale,
)

SHAPES = {
    "first": CONV,
    "second": CONV,
    "bn": BATCH_NORM,
    "scale": SCALE,
    "other_bn": BATCH_NORM,
    "ip": [(2, 32), (2,)],
}

PADDED = conv("second", "scale").replace("kernel_size: 1", "kernel_size: 1 pad: 1")
PAIR = batch_norm("bn", "data", "bn") + scale("scale", "bn", "scale")


def graph_of(text: str) -> Graph:
    return to_graph(network(INPUT + text, SHAPES), "TEST")


def names(graph: Graph) -> list[str]:
    return [node.name for node in graph.nodes]


def test_1_what_stands_behind_goes_first_then_what_stands_before() -> None:
    text = conv("first", "data") + batch_norm("bn", "first") + scale("scale", "bn")
    graph = fuse(graph_of(text + conv("second", "scale") + relu("relu", "second")))
    assert names(graph) == ["data", "first", "second", "relu"]
    untouched = network(INPUT, SHAPES).weights["second"]
    for found, expected in zip(graph.node("second").weights, untouched):
        np.testing.assert_array_equal(found, expected)


def test_1_an_inner_product_takes_over_what_follows_it() -> None:
    inner_product = (
        'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" '
        "inner_product_param { num_output: 2 } }\n"
    )
    text = inner_product + batch_norm("bn", "ip", "ip") + scale("scale", "ip", "y")
    assert names(fuse(graph_of(text))) == ["data", "ip"]
    assert fuse(graph_of(text)).node("ip").tops == ("y",)


@pytest.mark.parametrize(
    "before",
    [PAIR, batch_norm("bn", "data", "scale"), scale("scale", "data", "scale")],
    ids=["both", "BatchNorm", "Scale"],
)
def test_2_and_3_a_convolution_without_padding_takes_over_what_stands_before_it(
    before: str,
) -> None:
    graph = fuse(graph_of(before + conv("second", "scale")))
    assert names(graph) == ["data", "second"]
    assert graph.node("second").bottoms == ("data",)


def test_2_in_place_the_convolution_reads_the_blob_as_it_was_before() -> None:
    text = conv("first", "data", "x") + relu("relu", "x") + batch_norm("bn", "x", "x")
    graph = fuse(graph_of(text + scale("scale", "x", "x") + conv("second", "x")))
    assert names(graph) == ["data", "first", "relu", "second"]
    value = graph.node("second").inputs[0]
    assert graph.producer(value) is graph.node("relu")


def test_2_and_5_with_padding_nothing_is_fused_and_the_log_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    assert names(fuse(graph_of(PAIR + PADDED))) == ["data", "bn", "scale", "second"]
    assert "layer 'second' is not fused: 'bn', 'scale' before it" in caplog.text
    assert "padding" in caplog.text


def test_3_what_somebody_else_reads_stays() -> None:
    text = PAIR + conv("second", "scale") + conv("first", "scale")
    assert names(fuse(graph_of(text))) == ["data", "bn", "scale", "second", "first"]
    text = PAIR + conv("second", "scale") + conv("first", "bn")
    assert names(fuse(graph_of(text))) == ["data", "bn", "second", "first"]


def test_3_a_blob_that_is_overwritten_in_between_is_not_read_there() -> None:
    text = conv("first", "data", "x") + batch_norm("bn", "x", "y") + relu("relu", "x")
    assert "bn" in fuse(graph_of(text + conv("second", "y")))


def test_4_layers_to_be_skipped_are_fused_with_nothing() -> None:
    text = conv("first", "data") + batch_norm("bn", "first") + conv("second", "bn")
    assert names(fuse(graph_of(text), frozenset({"first"}))) == ["data", "first", "second"]
    everything = frozenset({"first", "second"})
    assert names(fuse(graph_of(text), everything)) == ["data", "first", "bn", "second"]


def test_a_layer_that_had_no_bias_says_that_it_has_one() -> None:
    plain = conv("first", "data").replace("kernel_size: 1", "kernel_size: 1 bias_term: false")
    state = network(INPUT + plain + batch_norm("bn", "first"), {**SHAPES, "first": CONV[:1]})
    node = rebuilt(fuse(to_graph(state, "TEST"))).node("first")
    assert node.typed(Convolution).bias_term
    assert node.source.parameters("convolution_param").boolean("bias_term")
    assert node.source.tops == ["bn"]
    assert len(node.weights) == 2


def test_layers_that_share_weights_are_fused_one_by_one() -> None:
    shared = 'param { name: "w" } param { name: "b" }'
    text = conv("first", "data", extra=shared) + batch_norm("bn", "first")
    text += conv("second", "data", extra=shared) + batch_norm("other_bn", "second")
    state = network(INPUT + text, SHAPES)
    state.weights["second"] = state.weights["first"]
    graph = fuse(to_graph(state, "TEST"))
    assert names(graph) == ["data", "first", "second"]
    first, second = (graph.node(name).weights[0] for name in ("first", "second"))
    assert not np.array_equal(first, second)


def test_numbers_that_cannot_be_folded_name_the_layer() -> None:
    state = network(INPUT + conv("first", "data") + batch_norm("bn", "first"), SHAPES)
    state.weights["bn"][1][0] = -1e9
    with pytest.raises(QuantizationError, match=r"layer 'first'.*variance"):
        fuse(to_graph(state, "TEST"))
