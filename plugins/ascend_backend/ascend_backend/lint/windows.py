"""The windows of quantized Poolings, as far as the sizes of their inputs follow from the model."""

from __future__ import annotations

from typing import Dict

from amct_caffe.formats.prototxt.document import NetDocument
from amct_caffe.network import CaffeNetwork
from amct_caffe.to_graph import to_graph
from amct_core.errors import AmctError
from amct_core.graph.attributes import Pooling
from amct_core.graph.shapes import known_shapes
from amct_core.numerics.arrays import Int64Array
from amct_core.numerics.pooling import window_areas
from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.quantized import is_average_pooling, quantized_layers


def quantized_window_areas(model: DeployModel) -> Dict[str, Int64Array]:
    """Return the areas of the windows, ``[out_height, out_width]``, by quantized Pooling.

    Poolings whose input size is not known are left out: all of them if the model is broken in a way
    that shapes cannot be inferred, which other rules report.
    """
    names = {
        group.layer.name for group in quantized_layers(model) if is_average_pooling(group.layer)
    }
    if not names:
        return {}
    try:
        graph = to_graph(CaffeNetwork(NetDocument(model.net, list(model.layers))), "TEST")
        shapes = known_shapes(graph)
        areas = {}
        for node in graph.nodes:
            shape = shapes.get(node.inputs[0]) if node.name in names else None
            attributes = node.attributes
            if shape is None or len(shape) != 4 or not isinstance(attributes, Pooling):
                continue
            if attributes.kernel is not None:
                areas[node.name] = window_areas(
                    *shape[2:],
                    attributes.kernel,
                    attributes.stride,
                    attributes.pad,
                    attributes.ceil_mode,
                )
    except AmctError:
        return {}
    return areas
