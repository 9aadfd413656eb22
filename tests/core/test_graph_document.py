"""A network as plain data is, read again, the same network."""

from __future__ import annotations

import json
from typing import Any

import attrs
import numpy as np
import pytest

from amct_core.errors import FileFormatError, ModelError
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import Attributes, Input, Pooling, Quant
from amct_core.graph_document import arrays_of, as_document, from_document
from amct_core.plugins import registries


@attrs.frozen
class Odd(Attributes):
    """Parameters of an invented layer."""

    value: Any


def network(*more: Node) -> Graph:
    weights = (np.array([[1, -128]], np.int8), np.array([3], np.int32))
    return Graph(
        "net",
        [
            Node("data", "Input", (), ("data",), Input(((1, 2, 4, 4),))),
            Node("quant", "Quant", ("data",), ("q",), Quant(float(np.float32(0.1)), -3)),
            Node("a/b", "InnerProduct", ("q",), ("y",), Odd((1, (2.5, None))), weights),
            Node("pool", "Pooling", ("y",), ("y",), Pooling("MAX", (2, 2))),
            *more,
        ],
        "net.json",
    )


def again(graph: Graph) -> Graph:
    return from_document(json.loads(json.dumps(as_document(graph))), arrays_of(graph), "net.json")


def test_everything_comes_back() -> None:
    before = network()
    after = again(before)
    assert (after.name, after.file) == ("net", "net.json")
    for mine, theirs in zip(after.nodes, before.nodes):
        assert (mine.name, mine.op, mine.inputs, mine.outputs) == (
            theirs.name,
            theirs.op,
            theirs.inputs,
            theirs.outputs,
        )
        assert mine.attributes == theirs.attributes
        assert [each.dtype for each in mine.weights] == [each.dtype for each in theirs.weights]
        assert all(map(np.array_equal, mine.weights, theirs.weights))
        assert mine.type == registries().layer_type(mine.op)


def test_parameters_that_are_no_plain_data_are_refused() -> None:
    node = Node("odd", "Odd", ("y",), ("z",), Odd({1: 2}))
    with pytest.raises(ModelError, match=r"layer 'odd': its parameter 'value' is \{1: 2\}, which"):
        as_document(network(node))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("layers",), 3),
        (("layers", 0, "kind"), "os.path"),
        (("layers", 0, "parameters"), {"command": 1}),
        (("layers", 0, "arrays"), 1),
        (("layers", 0, "bottoms"), 3),
        (("layers", 1), "layer"),
    ],
)
def test_a_document_that_was_changed_is_refused(path: Any, value: Any) -> None:
    document: Any = as_document(network())
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(FileFormatError, match=r"net\.json: it is not a network as it was written"):
        from_document(document, arrays_of(network()), "net.json")
