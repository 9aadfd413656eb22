"""The shapes of the inputs of a deployed network, as far as they are known without Caffe."""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional, Sequence

from amct_caffe.model.first_samples import shapes_by_files
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.layer_type import layer_type
from amct_caffe.model.layer_types.data import DataSource
from amct_caffe.model.to_inference import data_blobs
from amct_core.extensions.layer_type import Shape
from amct_core.graph import Graph, Value
from amct_core.graph.input_shapes import check_given_shapes, check_weights_fit
from amct_core.graph.shapes import known_shapes


def input_shapes(
    layers: Sequence[Layer], graph: Graph, given: Mapping[str, Shape], file: Optional[str] = None
) -> Dict[str, Optional[Shape]]:
    """Return the shape of each input, batch size first; None where nothing tells it.

    The first of these that tells it: what the user gives, the layer's parameters (and weights that
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
    found: Dict[str, Optional[Shape]] = {}
    for blob in data_blobs(layers):
        shape = given.get(blob) or known.get(Value(blob))
        found[blob] = shape if shape is not None else _by_files(layers, blob)
    check_weights_fit(graph, {blob: shape for blob, shape in found.items() if shape is not None})
    return found


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
    producer = next(layer for layer in layers if blob in layer.tops)
    parameters = layer_type(producer).parameters
    return (producer.parameters(parameters).integer("batch_size") if parameters else None) or 1
