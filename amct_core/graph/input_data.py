"""Checks arrays that are to be fed into a network against it, before anything runs.

What runs a network afterwards may end the process over an array of a wrong shape, as Caffe does.
"""

from __future__ import annotations

from typing import Any, Mapping, Optional, Tuple

import attrs
import numpy as np

from amct_core.errors import AmctError, ConfigError, ModelError
from amct_core.extensions.layer_type import Shape
from amct_core.graph.attributes import Eltwise
from amct_core.graph.graph import Graph
from amct_core.graph.input_shapes import check_weights_fit
from amct_core.graph.shapes import infer_shapes

REMEDY = "Preprocess the data as in training."


@attrs.frozen
class ArrayKind:
    """An array without its numbers."""

    dtype: np.dtype[Any]
    shape: Shape

    def __str__(self) -> str:
        return f"{self.dtype} of shape {self.shape}"


def kind_of(array: Any) -> ArrayKind:
    """Return what kind of array ``array`` is."""
    given = np.asarray(array)
    return ArrayKind(given.dtype, given.shape)


def check_input_data(
    graph: Graph,
    declared: Mapping[str, Shape],
    given: Mapping[str, ArrayKind],
    *,
    file: Optional[str] = None,
    field: Optional[str] = None,
    remedy: str = REMEDY,
) -> None:
    """Check one batch of arrays.

    1. They hold integers or floats.
    2. They have the axes and channels that the network declares.  Only the batch size may differ,
       and the size of images where every layer can take it.
    3. Every layer whose shapes can be known takes what reaches it.

    Args:
        graph: the network in testing, with its weights.
        declared: shapes by input, batch size first, and nothing behind it where only that is known.
        given: one batch by input.
        file, field: where the arrays, or their shapes, are from, for messages.
        remedy: what the user can do.

    Raises:
        ConfigError: naming an array, its shape and the expected one; or the layer that cannot take
            these shapes.
    """
    for blob, kind in given.items():
        require_array(
            blob, kind, tuple(declared.get(blob, ())), file=file, field=field, remedy=remedy
        )
    shapes = {blob: kind.shape for blob, kind in given.items()}
    try:
        check_weights_fit(graph, shapes)
        _check_sums(graph, shapes)
    except AmctError as error:
        arrays = ", ".join(f"'{blob}' {shape}" for blob, shape in shapes.items())
        own = ", ".join(
            f"'{blob}' {_numbers(shape)}" for blob, shape in declared.items() if len(shape) > 1
        )
        raise ConfigError(
            f"the network cannot take arrays of the shapes {arrays}: {error.problem}"
            + (f" The network declares {own}." if own else ""),
            file=file,
            layer=error.layer,
            field=field,
            remedy=remedy,
        ) from error


def require_array(
    blob: str,
    kind: ArrayKind,
    declared: Shape,
    *,
    file: Optional[str] = None,
    field: Optional[str] = None,
    remedy: str = REMEDY,
) -> None:
    """Check one array by itself: see 1 and 2 of :func:`check_input_data`."""
    if kind.dtype.kind not in "fiu" or not kind.shape or not _may_be(kind.shape, declared):
        raise ConfigError(
            f"array '{blob}' is {kind}; expected {_expected(declared)}.",
            file=file,
            field=field,
            remedy=remedy,
        )


def _may_be(shape: Shape, declared: Shape) -> bool:
    if len(declared) < 2:
        return True
    if len(shape) != len(declared):
        return False
    same = 2 if len(shape) > 3 else len(shape)  # images may have another size
    return shape[1:same] == declared[1:same]


def _expected(shape: Shape) -> str:
    return f"numbers of shape {_numbers(shape)}" if len(shape) > 1 else "an array of numbers"


def _numbers(shape: Shape) -> str:
    return f"(N, {', '.join(map(str, shape[1:]))})"


def _check_sums(graph: Graph, shapes: Mapping[str, Shape]) -> None:
    """Check that what an Eltwise adds or multiplies has one shape: its rule looks at the first."""
    inferred = infer_shapes(graph, shapes)
    for node in graph.nodes:
        if not isinstance(node.attributes, Eltwise):
            continue
        found: Tuple[Shape, ...] = tuple(inferred[each] for each in node.inputs if each in inferred)
        if len(set(found)) > 1:
            listed = ", ".join(str(shape) for shape in found)
            raise ModelError(f"its inputs are {listed}; expected equal shapes.", layer=node.name)
