"""A quantized model whose every integer is chosen here, and the files that are written of it."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
from pathlib import Path
from typing import IO, Any, Dict, Iterator, List, Sequence, Tuple, Union

import attrs
import numpy as np

from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.network import CaffeNetwork
from amct_caffe.model.to_graph import to_graph
from amct_core.files import FileSet
from amct_core.graph import Graph
from amct_core.quantized_model import Provenance, QuantizedLayer, QuantizedModel
from ascend_backend.writer import write_deploy_model
from plugins.ascend_backend.tests.text_reader import parse_prototxt
from plugins.ascend_backend.tests.wire_reader import StoredLayer, parse_caffemodel

NETWORK = """
name: "hand-made"
layer { name: "source" type: "Data" top: "data" top: "label" data_param { batch_size: 4 }
  include { phase: TEST } }
layer { name: "source" type: "Data" top: "data" top: "label" data_param { batch_size: 64 }
  include { phase: TRAIN } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 2 }
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 group: 2 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "side" type: "Convolution" bottom: "data" top: "side"
  convolution_param { num_output: 6 kernel_size: 1 bias_term: false } }
layer { name: "other" type: "Convolution" bottom: "data" top: "other"
  convolution_param { num_output: 2 kernel_size: 1 } }
layer { name: "up" type: "Deconvolution" bottom: "conv" top: "up"
  convolution_param { num_output: 3 kernel_size: 2 stride: 2 } }
layer { name: "pool" type: "Pooling" bottom: "up" top: "pool"
  pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
  inner_product_param { num_output: 5 } }
layer { name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy"
  include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""

WEIGHTS: Dict[str, Tuple[Tuple[int, ...], int, bool]] = {
    "conv": ((4, 2, 3, 3), 4, True),
    "side": ((6, 4, 1, 1), 6, False),
    "other": ((2, 4, 1, 1), 2, True),
    "up": ((4, 3, 2, 2), 3, True),
    "fc": ((5, 3 * 4 * 4), 1, True),
}
"""Shape in Caffe's own layout, number of scales, and whether there is a bias."""

BIAS_LENGTH = {"conv": 4, "other": 2, "up": 3, "fc": 5}

FACTORS: Dict[str, Tuple[float, int]] = {
    "conv": (63.75, -3),
    "side": (63.75, -3),
    "other": (63.75, 4),
    "up": (0.1, -128),
    "pool": (1 / 3, 127),
    "fc": (1e-5, 0),
}
"""quant_scale and offset; those of ``conv`` and ``side``, which read one blob, are equal."""


def layers(seed: int = 0) -> List[QuantizedLayer]:
    """Return the quantized layers: random integers, the extreme ones among them."""
    random = np.random.default_rng(seed)
    graph = _graph()
    return [_layer(graph, name, random) for name in FACTORS]


@functools.cache
def _graph() -> Graph:
    return to_graph(CaffeNetwork(documents.from_text(NETWORK)), "TEST")


def _layer(graph: Graph, name: str, random: np.random.Generator) -> QuantizedLayer:
    node = graph.node(name)
    scale, offset = FACTORS[name]
    shape, count, has_bias = WEIGHTS.get(name, ((), 1, False))
    weights = bias = None
    if shape:
        weights = random.integers(-128, 128, shape).astype(np.int8)
        weights.flat[:2] = -128, 127
    if has_bias:
        limits = np.iinfo(np.int32)
        bias = random.integers(limits.min, limits.max, BIAS_LENGTH[name]).astype(np.int32)
        bias[:2] = limits.min, limits.max
    shift_n = random.permutation(np.arange(1, 17))[:count] if shape else np.zeros(1)
    return QuantizedLayer(
        name=name,
        op=node.op,
        input_value=node.inputs[0],
        quant_scale=np.float32(scale),
        offset=offset,
        weights=weights,
        bias=bias,
        deq_scale=random.uniform(1e-6, 1, count).astype(np.float32),
        shift_n=shift_n.astype(np.uint8),
        divisor=1 if shape else 4,
        input_shape=(4, 8, 8) if name == "conv" else None,
        # Scales of no relation to the above: a writer that computes with them is found out.
        provenance=Provenance(np.float32(7), np.full(count, 7, np.float32)),
    )


@attrs.frozen
class Written:
    """The files, read back by the readers of this folder."""

    text: Sequence[Any]
    binary: Dict[str, StoredLayer]
    names: Dict[str, Any]

    def layer(self, name: str) -> Any:
        """Return one layer of the prototxt."""
        (found,) = (layer for layer in self.text if layer.name == name)
        return found

    def producer(self, blob: str) -> Any:
        """Return the layer that makes ``blob``."""
        (found,) = (layer for layer in self.text if blob in layer.top and blob not in layer.bottom)
        return found


class InMemory(FileSet):
    """Files that never reach a disk."""

    def __init__(self) -> None:
        super().__init__()
        self.written: Dict[str, bytes] = {}

    @property
    def paths(self) -> Tuple[str, ...]:
        """What has been written."""
        return tuple(self.written)

    def contents(self, path: Union[str, os.PathLike[str]]) -> bytes:
        """Return what has been written."""
        return self.written[os.fspath(path)]

    @contextlib.contextmanager
    def open(self, path: Union[str, os.PathLike[str]]) -> Iterator[IO[bytes]]:
        """Keep what the block writes."""
        stream = io.BytesIO()
        yield stream
        self.written[os.fspath(path)] = stream.getvalue()


NAMES = ("m_deploy_model.prototxt", "m_deploy_weights.caffemodel", "m_quant.json")


def write(folder: Path) -> Written:
    """Write the network with :func:`layers`, and read the files."""
    with FileSet() as files:
        write_deploy_model(QuantizedModel(_graph(), tuple(layers())), str(folder / "m"), files)
    return _read(*((folder / name).read_bytes() for name in NAMES))


def written(model: Sequence[QuantizedLayer]) -> Written:
    """Return what would be read of the network with ``model``, without a file."""
    with InMemory() as files:
        write_deploy_model(QuantizedModel(_graph(), tuple(model)), "m", files)
    return _read(*(files.contents(name) for name in NAMES))


def _read(text: bytes, binary: bytes, names: bytes) -> Written:
    return Written(parse_prototxt(text.decode()), parse_caffemodel(binary), json.loads(names))
