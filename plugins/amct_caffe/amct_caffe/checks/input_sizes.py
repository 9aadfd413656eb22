"""Inputs of sizes that the layers that read them cannot take."""

from __future__ import annotations

import math
from typing import Iterator, List, Optional

from amct_caffe.checks.check import Violation
from amct_core.errors import ModelError
from amct_core.extensions.frontend import NetworkViews
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import Convolution, InnerProduct
from amct_core.graph.shapes import Shape, known_shapes


def too_small_inputs(views: NetworkViews) -> Iterator[Violation]:
    """Yield the first layer of each phase that cannot take the input that reaches it.

    What a layer does to a shape is a matter of its type; where a shape does not follow from the
    network alone, nothing is found.
    """
    found = []
    for graph in (views.train, views.test):
        try:
            known_shapes(graph)
        except ModelError as error:
            violation = Violation.of(error)
            if violation not in found:
                found.append(violation)
                yield violation


def inputs_that_do_not_fit_weights(views: NetworkViews) -> Iterator[Violation]:
    """Yield each layer whose weights are for another number of inputs than those that reach it.

    Caffe ends the process when it loads such weights.
    """
    found: List[Violation] = []
    for graph in (views.train, views.test):
        for violation in _misfits(graph):
            if violation not in found:
                found.append(violation)
                yield violation


def _misfits(graph: Graph) -> Iterator[Violation]:
    try:
        shapes = known_shapes(graph)
    except ModelError:
        return  # told by the check above
    for node in graph.nodes:
        shape = shapes.get(node.inputs[0]) if node.inputs else None
        if shape is None or not node.weights:
            continue
        reached, expected = _inputs(node, shape), _inputs_of_weights(node)
        if reached is not None and expected is not None and reached != expected:
            yield Violation(
                "bottom",
                f"its input '{node.bottoms[0]}' is {' x '.join(map(str, shape))}, which gives it "
                f"{reached} inputs for each output; its weights are for {expected}.",
                "Correct the size of the data, or give the weights of this network.",
                node.name,
                None if graph.file is None else str(graph.file),
            )


def _inputs(node: Node, shape: Shape) -> Optional[int]:
    """Return the input channels of a Convolution, or the length of an InnerProduct's rows."""
    attributes = node.attributes
    if not isinstance(attributes, (Convolution, InnerProduct)):
        return None
    if not -len(shape) <= attributes.axis < len(shape):
        return None
    if isinstance(attributes, Convolution):
        return shape[attributes.axis]
    return math.prod(shape[attributes.axis % len(shape) :])


def _inputs_of_weights(node: Node) -> Optional[int]:
    attributes, axes, shape = node.attributes, node.type.weights, node.weights[0].shape
    if axes is None or len(shape) < 2:
        return None
    if isinstance(attributes, InnerProduct):
        return int(shape[0 if attributes.transpose else 1])
    if isinstance(attributes, Convolution):
        # A Deconvolution counts its input channels on axis 0, all groups together.
        return int(shape[0]) if axes.output == 1 else int(shape[1]) * attributes.group
    return None
