"""Makes Reshape layers follow the batch size, where they give that of training as a number."""

from __future__ import annotations

import logging
from typing import AbstractSet, Dict, List, Mapping, Optional, Sequence, Set, Tuple

import attrs

from amct_caffe.model.layer_types.layout import Reshape
from amct_caffe.model.network import CaffeNetwork
from amct_caffe.passes.phases import PHASES, graphs_of
from amct_core.errors import ModelError
from amct_core.extensions.layer_type import Shape
from amct_core.graph import Graph, Node, Pass, Value
from amct_core.graph.shapes import infer_shapes
from amct_core.textproto import Message

_log = logging.getLogger("amct_caffe.passes")


@attrs.frozen
class FreeBatchSize(Pass[CaffeNetwork]):
    """Make Reshape layers follow the batch size.

    1. A Reshape from axis 0 on whose first number is the first dimension of its input gets 0 there,
       which copies the dimension.  A deployed network has another batch size than its training:
       what Caffe computes at that of training stays the same.
    2. One that would put values of several samples into one row is refused: its first number is
       not 0, and there is no axis before which a whole number of samples' rows ends.
    3. Where the shape of its input is not known because that of a network input is not, a first
       number that is neither 0 nor -1 is refused as well; it may be either kind.
    4. So is one above 1 beside a -1, where the batch size of training is not known for certain: a
       -1 fits any.
    5. Where a layer of unknown type is why, there is a warning.

    Attributes:
        shapes: of the inputs of the TEST phase, batch size first; None: not known.
        uncertain: the inputs whose batch size is not known for certain.
    """

    shapes: Mapping[str, Optional[Shape]]
    uncertain: AbstractSet[str] = frozenset()

    def run(self, state: CaffeNetwork) -> CaffeNetwork:
        """Return the network with 0 in place of batch sizes.

        Raises:
            ModelError: naming the layer, its input and its numbers.
        """
        network = state.copy()
        found: Dict[str, List[bool]] = {}
        for phase, graph in zip(PHASES, graphs_of(network)):
            known = self.shapes if phase == "TEST" else {}
            uncertain = self.uncertain if phase == "TEST" else frozenset()
            for name, follows in _fixed_reshapes(graph, phase, known, uncertain):
                found.setdefault(name, []).append(follows)
        freed = {name for name, follows in found.items() if all(follows)}
        for layer in network.document.layers:
            if layer.name in freed:
                _copy_first(layer.parameters("reshape_param"))
        if freed:
            _log.info(
                "layers %s take the batch size from their input now (first dim: 0)", sorted(freed)
            )
        return network


def _fixed_reshapes(
    graph: Graph,
    phase: str,
    given: Mapping[str, Optional[Shape]],
    uncertain: AbstractSet[str],
) -> List[Tuple[str, bool]]:
    """Return the Reshapes with a number of axis 0, and whether it is that of their input.

    Raises:
        ModelError: one mixes samples, or it cannot be told whether it does.
    """
    known = infer_shapes(graph, {blob: shape for blob, shape in given.items() if shape})
    unknown = [blob for blob, shape in given.items() if shape is None]
    fixed = []
    for node in graph.nodes:
        a = node.attributes
        if not isinstance(a, Reshape) or not a.dims or a.dims[0] == 0:
            continue
        shape = known.get(node.inputs[0])
        if a.dims[0] == -1:
            # One axis of all values has no rows.
            if shape is not None and len(a.dims) > 1 and a.axis in (0, -len(shape) - 1):
                _check_rows(graph, node, shape, _batch_size(graph, node, known), phase)
        elif shape is None:
            if a.axis == 0 and phase == "TEST":
                _check_known(graph, node, a, unknown)
        elif a.axis in (0, -len(shape) - 1):
            _check_certain(graph, node, shape, uncertain)
            _check_rows(graph, node, shape, _batch_size(graph, node, known), phase)
            fixed.append((node.name, a.dims[0] == shape[0]))
    return fixed


def _check_known(graph: Graph, node: Node, a: Reshape, unknown: Sequence[str]) -> None:
    inputs = sorted(_sources(graph, node.inputs[0]) & set(unknown))
    if inputs:
        raise _unknown(graph, node, a, inputs[0])
    _log.warning(
        "layer '%s': its first dim is %d, and the shape of its input is not known; if that is the "
        "batch size of training, write 0, or the deployed network has that batch size alone",
        node.name,
        a.dims[0],
    )


def _check_certain(graph: Graph, node: Node, shape: Shape, uncertain: AbstractSet[str]) -> None:
    a = node.typed(Reshape)
    inputs = sorted(_sources(graph, node.inputs[0]) & uncertain)
    if inputs and a.dims[0] not in (1, shape[0]) and -1 in a.dims:
        raise ModelError(
            f"its first dim is {a.dims[0]}, and its input is {shape} where the batch size is that "
            f"given for '{inputs[0]}'; the layer of that input does not tell the one of training.",
            file=graph.file,
            layer=node.name,
            field="reshape_param.shape",
            remedy="Write the first dim as 0 if it is the batch size; or give the batch size of "
            "training in --input-shape.",
        )


def _check_rows(graph: Graph, node: Node, shape: Shape, batch: Optional[int], phase: str) -> None:
    a = node.typed(Reshape)
    if not batch or shape[0] % batch or a.dims[0] == shape[0] or node.type.shape is None:
        return
    (result,) = node.type.shape(node, [shape])
    rows = 1
    for size in (result or ())[:-1]:
        rows *= size
        if rows % batch == 0:
            return
    raise ModelError(
        f"it turns {shape} into {result}, which puts values of several of the {batch} samples of "
        f"phase {phase} into one row.",
        file=graph.file,
        layer=node.name,
        field="reshape_param.shape",
        remedy="Write the first dim as 0, which keeps the samples apart at every batch size.",
    )


def _batch_size(graph: Graph, node: Node, known: Mapping[Value, Shape]) -> Optional[int]:
    """Return the batch size of the network inputs that reach ``node``, if they have one."""
    sizes = {
        known[value][0] for value in map(Value, _sources(graph, node.inputs[0])) if known.get(value)
    }
    return sizes.pop() if len(sizes) == 1 else None


def _sources(graph: Graph, value: Value) -> Set[str]:
    """Return the blobs without a layer that makes them of others, which ``value`` is made of."""
    seen: Set[Value] = set()
    waiting, sources = [value], set()
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        producer = graph.producer(current)
        if producer is None or not producer.inputs:
            sources.add(current.name)
        else:
            waiting.extend(producer.inputs)
    return sources


def _unknown(graph: Graph, node: Node, a: Reshape, blob: str) -> ModelError:
    return ModelError(
        f"its first dim is {a.dims[0]}: whether that is the batch size cannot be told, since the "
        f"shape of the network's input '{blob}' is not known.",
        file=graph.file,
        layer=node.name,
        field="reshape_param.shape",
        remedy=f"Write the first dim as 0 if it is the batch size; or give the shape: "
        f"--input-shape {blob}:N,C,H,W, or input_shapes in the config.",
    )


def _copy_first(parameters: Message) -> None:
    shape = parameters.message("shape")
    assert shape is not None
    dims: Sequence[int] = shape.integers("dim")
    shape.remove("dim")
    for dim in (0, *dims[1:]):
        shape.add("dim", dim)
