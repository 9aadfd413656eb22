"""How many channels a blob of a deployable model has."""

from __future__ import annotations

from typing import Mapping, Optional

from amct_core.graph import Graph, Value
from amct_core.graph.attributes import Convolution, InnerProduct, Input
from amct_core.graph.shapes import Shape


def channels(graph: Graph, value: Value, shapes: Mapping[Value, Shape]) -> Optional[int]:
    """Return the size of axis 1 of ``value``; None where it does not follow.

    Args:
        graph: a deployable model.
        value: one of its blobs.
        shapes: those that are known; where ``value`` has none, the layers before it tell.
    """
    while True:
        shape = shapes.get(value)
        if shape is not None and len(shape) > 1:
            return shape[1]
        producer = graph.producer(value)
        if producer is None:
            return None
        a = producer.attributes
        if isinstance(a, (Convolution, InnerProduct)):
            return a.num_output
        if isinstance(a, Input) or not producer.type.keeps_channels:
            return None
        value = producer.inputs[0]
