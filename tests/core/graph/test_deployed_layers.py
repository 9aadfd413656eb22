"""Which layers of a deployable network run in integers, and what is said of broken ones."""

from __future__ import annotations

from typing import Any, List, Sequence

import numpy as np
import pytest

from amct_core.errors import AmctError, QuantizationError
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import DeQuant, Quant
from amct_core.graph.deployed_layers import deployed_layers, quantized_nodes
from amct_core.numerics import dequant

WEIGHTS, BIAS = np.ones((2, 3), np.int8), np.array([7, -7], np.int32)
WORDS = dequant.pack(np.array([0.5, 0.25], np.float32), np.array([3, 4]))


def quant(name: str = "quant", bottom: str = "data", top: str = "q") -> Node:
    return Node(name, "Quant", [bottom], [top], Quant(8.0, -3))


def layer(name: str = "fc", bottom: str = "q", weights: Sequence[Any] = (WEIGHTS, BIAS)) -> Node:
    return Node(name, "InnerProduct", [bottom], [f"{name}_acc"], weights=weights)


def dequantize(
    name: str = "fc_d", bottom: str = "fc_acc", weights: Sequence[Any] = (WORDS,)
) -> Node:
    return Node(name, "DeQuant", [bottom], [f"{name}_out"], DeQuant(), weights=weights)


def network(*nodes: Node) -> Graph:
    return Graph("net", nodes, file="net.prototxt")


def test_a_layer_has_the_factors_of_its_quant_and_its_dequant() -> None:
    graph = network(quant(), layer(), dequantize())
    (found,) = deployed_layers(graph).values()
    assert (found.quant, found.node, found.dequant) == graph.nodes
    assert (found.quant_scale, found.offset) == (8, -3)
    assert found.deq_scale.tolist() == [0.5, 0.25]
    assert found.shift_n.tolist() == [3, 4]
    assert found.weights is WEIGHTS
    assert found.bias is BIAS
    assert found.integer_blobs == ("q", "fc_acc")


def test_a_layer_without_blobs_has_neither_weights_nor_a_bias() -> None:
    (found,) = deployed_layers(network(quant(), layer(weights=()), dequantize())).values()
    assert found.weights is None
    assert found.bias is None


def test_layers_share_a_quant_and_stand_in_network_order() -> None:
    graph = network(
        quant(), layer(), layer("other"), dequantize("other_d", "other_acc"), dequantize()
    )
    fc, other = deployed_layers(graph).values()
    assert (fc.name, other.name) == ("fc", "other")
    assert fc.quant is other.quant
    assert other.dequant.name == "other_d"


def test_a_layer_that_reads_floats_is_none_of_them() -> None:
    graph = network(layer("float", "data"), quant(), layer(), dequantize())
    assert [node.name for node in deployed_layers(graph)] == ["fc"]


def test_which_layers_read_a_quant_is_told_even_where_no_dequant_follows() -> None:
    assert [node.name for node in quantized_nodes(network(quant(), layer()))] == ["fc"]


BROKEN: List[Any] = [
    pytest.param([quant(), layer()], "fc", r"read by \[\]; expected one DeQuant", id="nobody"),
    pytest.param(
        [quant(), layer(), dequantize(), dequantize("again")],
        "fc",
        r"read by \['DeQuant', 'DeQuant'\]; expected one DeQuant",
        id="two DeQuants",
    ),
    pytest.param(
        [quant(), layer(), layer("next", "fc_acc")],
        "fc",
        r"read by \['InnerProduct'\]; expected one DeQuant",
        id="no DeQuant",
    ),
    pytest.param(
        [quant(), layer(), dequantize(weights=())],
        "fc_d",
        r"its blobs are \[\]; expected one of uint64",
        id="no blob",
    ),
    pytest.param(
        [quant(), layer(), dequantize(weights=[BIAS])],
        "fc_d",
        r"its blobs are \['int32'\]; expected one of uint64",
        id="int32 blob",
    ),
    pytest.param(
        [layer("float", "data"), dequantize("lost", "float_acc")],
        "lost",
        r"it reads \['float_acc'\]; expected a quantized layer",
        id="DeQuant of floats",
    ),
    pytest.param(
        [quant(), dequantize("lost", "q")],
        "lost",
        r"it reads \['q'\]; expected a quantized layer",
        id="DeQuant of a Quant",
    ),
]


@pytest.mark.parametrize(("nodes", "at", "said"), BROKEN)
def test_what_is_broken_is_named_with_file_and_remedy(
    nodes: Sequence[Node], at: str, said: str
) -> None:
    with pytest.raises(AmctError, match=said) as caught:
        deployed_layers(network(*nodes))
    assert (caught.value.file, caught.value.layer) == ("net.prototxt", at)
    assert "amct lint" in caught.value.remedy


def test_a_word_that_cannot_be_is_said_of_its_dequant() -> None:
    words = WORDS | np.uint64(1 << 60)
    with pytest.raises(QuantizationError, match="bits 48") as caught:
        deployed_layers(network(quant(), layer(), dequantize(weights=[words])))
    assert (caught.value.file, caught.value.layer) == ("net.prototxt", "fc_d")
