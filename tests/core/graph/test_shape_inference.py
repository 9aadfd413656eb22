"""What shape inference does where Caffe would stop, or where it cannot know."""

from __future__ import annotations

from typing import Sequence, Tuple

import pytest

from amct_caffe.model.layer_types.layout import Crop, Reshape
from amct_core.errors import ModelError
from amct_core.graph import Graph, Node, Value
from amct_core.graph.attributes import (
    Attributes,
    Concat,
    Convolution,
    Data,
    Input,
    Opaque,
    Pooling,
)
from amct_core.graph.shapes import infer_shapes, known_shapes
from amct_core.plugins import registries

Shape = Tuple[int, ...]


declared = registries().layer_type


def one_layer(op: str, attributes: Attributes, *inputs: Shape) -> Graph:
    names = [f"x{index}" for index in range(len(inputs))]
    source = Node("source", "Input", [], names, Input(inputs))
    return Graph(
        "net", [source, Node("layer", declared(op), names, ["y"], attributes)], "net.prototxt"
    )


def kernel(size: int, axes: int = 2, axis: int = 1) -> Convolution:
    ones, zeros = (1,) * axes, (0,) * axes
    return Convolution(4, (size,) * axes, ones, zeros, ones, axis=axis)


@pytest.mark.parametrize(
    ("op", "attributes", "inputs", "words"),
    [
        ("Concat", Concat(axis=4), [(1, 2, 3, 4)], "axis 4"),
        ("Concat", Concat(), [(1, 2, 6, 6), (1, 4, 5, 6)], "differ along other axes than axis 1"),
        ("Concat", Concat(), [(1, 2, 6, 6), (1, 4)], "differ along other axes than axis 1"),
        ("Convolution", kernel(5), [(1, 2, 4, 4)], "too small"),
        ("Pooling", Pooling("MAX", (5, 5)), [(1, 2, 4, 4)], "too small"),
        ("Reshape", Reshape((0, 7), axis=0, num_axes=-1), [(1, 2, 3, 4)], "24 values"),
        ("Reshape", Reshape((0, 5, -1), axis=0, num_axes=-1), [(1, 2, 3, 4)], "24 values"),
        (
            "Crop",
            Crop(axis=2, offsets=(1, 2)),
            [(1, 2, 3, 4), (1, 2, 2, 3)],
            "cuts 3 values from 2 on",
        ),
    ],
)
def test_a_shape_that_caffe_refuses_is_an_error(
    op: str, attributes: Attributes, inputs: Sequence[Shape], words: str
) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        known_shapes(one_layer(op, attributes, *inputs))
    assert caught.value.file == "net.prototxt"
    assert caught.value.layer == "layer"


@pytest.mark.parametrize("op", ["Proposal", "DetectionOutput", "Yolo", "NeverHeardOf"])
def test_a_type_without_a_rule_has_an_unknown_shape_and_is_no_error(op: str) -> None:
    assert Value("y") not in known_shapes(one_layer(op, Opaque(), (1, 2, 3, 4)))


def test_what_follows_an_unknown_shape_is_unknown() -> None:
    nodes = [
        Node("source", "NeverHeardOf", [], ["a"]),
        Node("other", "Input", [], ["b"], Input(((1, 2),))),
        Node("relu", declared("ReLU"), ["a"], ["a"]),
        Node("join", declared("Concat"), ["b", "a"], ["c"], Concat()),
    ]
    assert known_shapes(Graph("net", nodes)) == {Value("b"): (1, 2)}


def test_one_kernel_size_stands_for_as_many_axes_as_the_input_has() -> None:
    shapes = known_shapes(one_layer("Convolution", kernel(3), (1, 2, 9, 9, 9)))
    assert shapes[Value("y")] == (1, 4, 7, 7, 7)


def test_given_shapes_come_before_what_a_data_layer_says() -> None:
    nodes = [
        Node("data", "Data", [], ["x", "label"], Data(((1, 3, 8, 8), None))),
        Node("conv", declared("Convolution"), ["x"], ["y"], kernel(3)),
    ]
    shapes = infer_shapes(Graph("net", nodes), {"x": (2, 3, 5, 5)})
    assert shapes == {Value("x"): (2, 3, 5, 5), Value("y"): (2, 4, 3, 3)}
