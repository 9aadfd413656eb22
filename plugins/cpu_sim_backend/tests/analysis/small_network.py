"""A small network in float and quantized, in memory and without Caffe.

BatchNorm and Scale behind a convolution, ReLU in place, two convolutions that read one blob through
one Quant, Concat, a sum with a shortcut, an InnerProduct, Softmax.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.network import CaffeNetwork
from amct_caffe.model.to_graph import to_graph
from amct_core.graph import Graph, Value
from amct_core.plugins import registries
from amct_core.ptq.from_record import quantized_model
from amct_core.ptq.fusion import fuse
from amct_core.quantized_model import QuantizedModel
from amct_core.record import LayerRecord, Record
from cpu_sim_backend.ptq import SimulatorEngine

Array = NDArray[Any]

SHAPE = (3, 6, 6)
LAYERS = ("first", "left", "right", "after", "ip")

_CONVOLUTION = """
layer {{ name: "{0}" type: "Convolution" bottom: "{1}" top: "{0}"
  convolution_param {{ num_output: {2} kernel_size: 3 pad: 1 }} }}
"""
_RELU = """
layer {{ name: "{0}_relu" type: "ReLU" bottom: "{0}" top: "{0}" }}
"""
NETWORK = "".join(
    [
        'layer { name: "data" type: "Input" top: "data" ',
        "input_param { shape { dim: 1 dim: 3 dim: 6 dim: 6 } } }",
        _CONVOLUTION.format("first", "data", 4),
        'layer { name: "bn" type: "BatchNorm" bottom: "first" top: "first" }\n',
        'layer { name: "scale" type: "Scale" bottom: "first" top: "first" ',
        "scale_param { bias_term: true } }\n",
        _RELU.format("first"),
        _CONVOLUTION.format("left", "first", 2),
        _CONVOLUTION.format("right", "first", 2),
        _RELU.format("right"),
        'layer { name: "both" type: "Concat" bottom: "left" bottom: "right" top: "both" }\n',
        _CONVOLUTION.format("after", "both", 4),
        'layer { name: "sum" type: "Eltwise" bottom: "after" bottom: "first" top: "sum" }\n',
        'layer { name: "ip" type: "InnerProduct" bottom: "sum" top: "ip" ',
        "inner_product_param { num_output: 5 } }\n",
        'layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }\n',
    ]
)
_SHAPES = {
    "first": (4, 3, 3, 3),
    "left": (2, 4, 3, 3),
    "right": (2, 4, 3, 3),
    "after": (4, 4, 3, 3),
    "ip": (5, 144),
}


def weights(seed: int) -> Dict[str, List[Array]]:
    """Return random weights of :data:`NETWORK`."""
    generator = np.random.default_rng(seed)
    blobs = {
        name: [
            generator.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape).astype(np.float32),
            generator.normal(0, 0.1, shape[0]).astype(np.float32),
        ]
        for name, shape in _SHAPES.items()
    }
    mean, variance = generator.normal(0, 0.2, 4), generator.uniform(0.5, 2, 4)
    blobs["bn"] = [mean.astype(np.float32), variance.astype(np.float32), np.ones(1, np.float32)]
    blobs["scale"] = [
        generator.uniform(0.5, 2, 4).astype(np.float32),
        generator.normal(0, 0.1, 4).astype(np.float32),
    ]
    return blobs


def graph_of(text: str, blobs: Mapping[str, List[Array]]) -> Graph:
    """Return a network as it is in testing."""
    return to_graph(CaffeNetwork(documents.from_text(text), dict(blobs)), "TEST")


def float_network(seed: int = 0) -> Graph:
    """Return :data:`NETWORK` with random weights, as it is read."""
    return graph_of(NETWORK, weights(seed))


def images(samples: int, seed: int = 0) -> Array:
    """Return random inputs."""
    return np.random.default_rng(seed).normal(0, 1, (samples, *SHAPE)).astype(np.float32)


def quantized(
    graph: Graph,
    data: Array,
    names: Sequence[str] = LAYERS,
    factors: Mapping[str, float] = {},
) -> QuantizedModel:
    """Return ``graph``, which is folded already, with layers in int8.

    Args:
        graph: in float.
        data: whose range of activations gives their scales.
        names: the layers.
        factors: by layer, what its activation's scale is multiplied by: below 1 it clips.
    """
    nodes = [graph.node(name) for name in names]
    read = SimulatorEngine().prepare(graph, [node.inputs[0] for node in nodes])({"data": data})
    entries = {
        node.name: _entry(node.weights[0], read[node.inputs[0]], factors.get(node.name, 1.0))
        for node in nodes
    }
    algorithm = registries().weight_algorithms.get("arq_retrain")
    return quantized_model(graph, Record(entries), dict.fromkeys(names, algorithm), "record.txt")


def _entry(blob: Array, x: Array, factor: float) -> LayerRecord:
    low, high = min(0.0, float(x.min())), max(0.0, float(x.max()))
    scale = (high - low) / 255
    magnitudes = np.abs(blob.reshape(len(blob), -1)).max(axis=1)
    scale_w = (magnitudes if blob.ndim == 4 else magnitudes.max(keepdims=True)) / 127
    return LayerRecord(
        scale_d=scale * factor,
        offset_d=int(np.clip(np.rint(-128 - low / scale), -128, 127)),
        scale_w=tuple(float(each) for each in scale_w),
    )


def folded(graph: Graph) -> Graph:
    """Return ``graph`` with BatchNorm and Scale folded."""
    return fuse(graph)


def subset(model: QuantizedModel, names: Sequence[str]) -> QuantizedModel:
    """Return ``model`` with only ``names`` in int8."""
    return attrs.evolve(model, layers=tuple(x for x in model.layers if x.name in names))


LOGITS = Value("ip")
