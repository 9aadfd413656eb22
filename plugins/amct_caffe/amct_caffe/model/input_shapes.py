"""The shapes of the inputs of a deployed network, as far as they are known without Caffe."""

from __future__ import annotations

from typing import AbstractSet, Dict, List, Mapping, Optional, Sequence, Set

import attrs

from amct_caffe.model.first_samples import shapes_by_files
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.layer_type import layer_type
from amct_caffe.model.layer_types.data import DataSource
from amct_caffe.model.layer_types.layout import Reshape
from amct_caffe.model.to_inference import data_blobs
from amct_core.errors import ModelError
from amct_core.extensions.layer_type import Shape
from amct_core.graph import Graph, Value
from amct_core.graph.input_shapes import check_given_shapes, check_weights_fit
from amct_core.graph.shapes import infer_shapes, known_shapes


@attrs.frozen
class InputShapes:
    """The shapes of the inputs of a network by blob, batch size first; None where unknown.

    Attributes:
        deployed: with the batch size that the user gives, if any.
        trained: with that of the data layer, if it tells it.
        uncertain: the inputs whose layer does not tell the batch size of training; it is the one
            that a Reshape needs, else the deployed one.
    """

    deployed: Mapping[str, Optional[Shape]]
    trained: Mapping[str, Optional[Shape]]
    uncertain: AbstractSet[str] = frozenset()

    @property
    def known(self) -> Dict[str, Shape]:
        """The deployed shapes that are known."""
        return _only_known(self.deployed)

    @property
    def unknown(self) -> List[str]:
        """The inputs whose shape is not known."""
        return [blob for blob, shape in self.deployed.items() if shape is None]


def input_shapes(
    layers: Sequence[Layer], graph: Graph, given: Mapping[str, Shape], file: Optional[str] = None
) -> InputShapes:
    """Return the shapes of the inputs, as far as they are known without Caffe.

    The first of these that tells one: what the user gives, the layer's parameters (and weights that
    tell the channels of its images), the first sample of its files.

    Args:
        layers: the layers of the TEST phase.
        graph: the same as a graph, with weights.
        given: what the user gives, by blob.
        file: the config, for messages.

    Raises:
        ConfigError: what the user gives does not fit the network.
        ModelError: weights do not fit the inputs.
    """
    check_given_shapes(graph, given, file)
    known = known_shapes(graph)
    deployed: Dict[str, Optional[Shape]] = {}
    trained: Dict[str, Optional[Shape]] = {}
    uncertain: Set[str] = set()
    for blob in data_blobs(layers):
        own = known.get(Value(blob))
        shape = given.get(blob) or own or _by_files(layers, blob)
        deployed[blob] = trained[blob] = shape
        if shape is not None:
            batch = own[0] if own is not None else _batch_size(layers, blob)
            trained[blob] = (batch or shape[0], *shape[1:])
            if not batch:
                uncertain.add(blob)
    if uncertain:
        trained = _with_needed_batch(graph, trained, uncertain)
    check_weights_fit(graph, _only_known(trained))
    return InputShapes(deployed, trained, frozenset(uncertain))


def _with_needed_batch(
    graph: Graph, shapes: Mapping[str, Optional[Shape]], blobs: AbstractSet[str]
) -> Dict[str, Optional[Shape]]:
    """Return ``shapes`` with the batch size of ``blobs`` that fixed Reshapes need, if they do."""
    reshapes = [node.attributes for node in graph.nodes if isinstance(node.attributes, Reshape)]
    batches = [a.dims[0] for a in reshapes if a.dims and all(dim > 0 for dim in a.dims)]
    candidates = [dict(shapes)]
    for batch in batches:
        needed = {blob: (batch, *(shapes[blob] or ())[1:]) for blob in blobs}
        candidates.append({**shapes, **needed})
    return next((each for each in candidates if _passes(graph, each)), candidates[0])


def _passes(graph: Graph, shapes: Mapping[str, Optional[Shape]]) -> bool:
    try:
        infer_shapes(graph, _only_known(shapes))
    except ModelError:
        return False  # the check of the shapes that are chosen says why
    return True


def _only_known(shapes: Mapping[str, Optional[Shape]]) -> Dict[str, Shape]:
    return {blob: shape for blob, shape in shapes.items() if shape is not None}


def _by_files(layers: Sequence[Layer], blob: str) -> Optional[Shape]:
    producer = next(layer for layer in layers if blob in layer.tops)
    source = layer_type(producer).data
    if not isinstance(source, DataSource) or source.look is None:
        return None
    shapes: List[Optional[Shape]] = shapes_by_files(producer, source.look)
    shapes += [None] * len(producer.tops)
    return shapes[list(producer.tops).index(blob)]


def batch_size(layers: Sequence[Layer], blob: str) -> int:
    """Return the batch size that the layer of ``blob`` gives; 1 if it gives none."""
    return _batch_size(layers, blob) or 1


def _batch_size(layers: Sequence[Layer], blob: str) -> Optional[int]:
    producer = next(layer for layer in layers if blob in layer.tops)
    parameters = layer_type(producer).parameters
    return producer.parameters(parameters).integer("batch_size") if parameters else None
