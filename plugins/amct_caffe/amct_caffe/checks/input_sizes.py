"""Inputs that are too small for the layers that read them."""

from __future__ import annotations

from typing import Iterator

from amct_caffe.checks.check import Violation
from amct_core.errors import ModelError
from amct_core.extensions.frontend import NetworkViews
from amct_core.graph.shapes import known_shapes


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
