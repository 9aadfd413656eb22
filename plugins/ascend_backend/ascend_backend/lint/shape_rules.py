"""Rules on the shapes that the network gives itself."""

from __future__ import annotations

from typing import Iterator

from amct_core.errors import ModelError
from amct_core.graph.shapes import known_shapes
from ascend_backend.lint.graph import graph_of
from ascend_backend.lint.inputs import check_dims
from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.rule import WARNING, Problem, Rule


def check_shapes_fit(model: DeployModel) -> Iterator[Problem]:
    """Find the first layer that cannot take the shape which reaches it.

    Nothing follows for the layers behind it.  Sizes that are not positive have a rule of their own.
    """
    graph = graph_of(model)
    if graph is None or any(True for _ in check_dims(model)):
        return
    try:
        known_shapes(graph)
    except ModelError as error:
        yield Problem(error.problem, error.layer, error.field)


RULES = (
    Rule(
        "A026",
        WARNING,
        "A layer cannot take the shape that reaches it",
        "Correct the shapes of the inputs or the parameters of the layer, or give ATC the shapes "
        "with --input_shape.",
        check_shapes_fit,
    ),
)
