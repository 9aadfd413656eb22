"""Networks with random weights: residual ones of any number of layers, and one of large layers."""

from __future__ import annotations

from pathlib import Path
from typing import List, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.caffemodel import writer as caffemodel

Blobs = List[NDArray[np.float32]]
SIZE = 8
"""Height and width of the residual network's images, which have three channels."""
OUTER, INNER = 16, 64
"""Channels between the blocks of the residual network, and within them."""
CLASSES = 10

_INPUT = """\
layer {{ name: "input" type: "Input" top: "data" top: "label"
  input_param {{ shape {{ dim: 2 dim: 3 dim: {size} dim: {size} }} shape {{ dim: 2 }} }} }}
"""
_CONVOLUTION = """\
layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}"
  convolution_param {{ num_output: {channels} kernel_size: 3 pad: 1 bias_term: {bias} }} }}
"""
_BATCH_NORM_SCALE = """\
layer {{ name: "{name}/bn" type: "BatchNorm" bottom: "{name}" top: "{name}" }}
layer {{ name: "{name}/scale" type: "Scale" bottom: "{name}" top: "{name}"
  scale_param {{ bias_term: true }} }}
"""
_RELU = 'layer {{ name: "{name}/relu" type: "ReLU" bottom: "{name}" top: "{name}" }}\n'
_SUM = """\
layer {{ name: "{name}" type: "Eltwise" bottom: "{bottom}" bottom: "{branch}" top: "{name}" }}
"""
_POOLING = """\
layer {{ name: "pool" type: "Pooling" bottom: "{bottom}" top: "pool"
  pooling_param {{ pool: AVE global_pooling: true }} }}
"""
_TAIL = """\
layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}"
  inner_product_param {{ num_output: {channels} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "{name}" bottom: "label" top: "loss" }}
"""


@attrs.define
class GeneratedNetwork:
    """A prototxt under construction and its random weights.

    Attributes:
        text: the prototxt.
        layers: (name, type, blobs) of each layer with weights.
        top: the blob that the next layer reads.
        channels: of ``top``.
    """

    text: str = 'name: "Generated"\n'
    layers: List[Tuple[str, str, Blobs]] = attrs.field(factory=list)
    top: str = "data"
    channels: int = 3
    _random: np.random.Generator = attrs.field(factory=lambda: np.random.default_rng(1))

    @property
    def layer_count(self) -> int:
        """All layers of the prototxt: data, loss and in-place layers count like any other."""
        return self.text.count("layer {")

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights in float32."""
        return sum(blob.nbytes for _, _, blobs in self.layers for blob in blobs)

    def write(self, model: str, weights: str) -> None:
        """Write prototxt and caffemodel."""
        Path(model).write_text(self.text)
        with open(weights, "wb") as stream:
            caffemodel.write(stream, "Generated", self.layers)

    def input(self, size: int) -> None:
        """Add two images of ``size`` x ``size`` and their labels."""
        self.text += _INPUT.format(size=size)

    def convolution(self, name: str, channels: int, bias: bool) -> None:
        """Add a 3 x 3 convolution, whose outputs are about as large as its inputs."""
        self.text += _CONVOLUTION.format(
            name=name, bottom=self.top, channels=channels, bias=str(bias).lower()
        )
        blobs = [self._weights(channels, self.channels, 3, 3)]
        self.layers.append((name, "Convolution", blobs + [self._values(channels)] * bias))
        self.top, self.channels = name, channels

    def batch_norm_scale(self) -> None:
        """Add BatchNorm and Scale, in place."""
        name, channels = self.top, self.channels
        self.text += _BATCH_NORM_SCALE.format(name=name)
        variance = self._random.uniform(0.5, 2, channels).astype(np.float32)
        factor = np.ones(1, np.float32)
        gamma = self._random.uniform(0.1, 1, channels).astype(np.float32)
        statistics = [self._values(channels), variance, factor]
        self.layers.append((f"{name}/bn", "BatchNorm", statistics))
        self.layers.append((f"{name}/scale", "Scale", [gamma, self._values(channels)]))

    def relu(self) -> None:
        """Add a ReLU, in place."""
        self.text += _RELU.format(name=self.top)

    def sum(self, name: str, other: str) -> None:
        """Add the blob ``other``."""
        self.text += _SUM.format(name=name, bottom=other, branch=self.top)
        self.top = name

    def pooling(self) -> None:
        """Add a global average Pooling."""
        self.text += _POOLING.format(bottom=self.top)
        self.top = "pool"

    def classifier(self, inputs: int, outputs: int) -> None:
        """Add an InnerProduct and SoftmaxWithLoss."""
        self.text += _TAIL.format(name="classes", bottom=self.top, channels=outputs)
        blobs = [self._weights(outputs, inputs), self._values(outputs)]
        self.layers.append(("classes", "InnerProduct", blobs))

    def _weights(self, *shape: int) -> NDArray[np.float32]:
        drawn = self._random.standard_normal(shape, np.float32)
        return np.asarray(drawn * np.float32(np.sqrt(2 / np.prod(shape[1:]))), np.float32)

    def _values(self, count: int) -> NDArray[np.float32]:
        return self._random.normal(0, 0.1, count).astype(np.float32)


def residual_network(layers: int) -> GeneratedNetwork:
    """Return a residual network of exactly ``layers`` layers, all types counted.

    Five layers come first, and three last; between them are residual blocks of nine layers
    (Convolution, BatchNorm, Scale, ReLU, Convolution, BatchNorm, Scale, Eltwise, ReLU) and, so that
    the number comes out, up to eight plain blocks of four (Convolution, BatchNorm, Scale, ReLU).
    """
    network = GeneratedNetwork()
    network.input(SIZE)
    _plain_block(network, "stem")
    between = layers - network.layer_count - 3
    plain = next(count for count in range(9) if (between - 4 * count) % 9 == 0)
    for index in range(plain):
        _plain_block(network, f"plain{index}")
    for index in range((between - 4 * plain) // 9):
        _residual_block(network, f"block{index}")
    network.pooling()
    network.classifier(OUTER, CLASSES)
    assert network.layer_count == layers, network.layer_count
    return network


def _plain_block(network: GeneratedNetwork, name: str) -> None:
    network.convolution(name, OUTER, bias=False)
    network.batch_norm_scale()
    network.relu()


def _residual_block(network: GeneratedNetwork, name: str) -> None:
    shortcut = network.top
    network.convolution(f"{name}/wide", INNER, bias=False)
    network.batch_norm_scale()
    network.relu()
    network.convolution(f"{name}/narrow", OUTER, bias=False)
    network.batch_norm_scale()
    network.sum(f"{name}/sum", shortcut)
    network.relu()


def large_network(channels: int, depth: int) -> GeneratedNetwork:
    """Return ``depth`` convolutions of ``channels`` channels and a large InnerProduct, no more."""
    size = 2
    network = GeneratedNetwork()
    network.input(size)
    for index in range(depth):
        network.convolution(f"conv{index}", channels, bias=True)
        network.relu()
    network.classifier(channels * size * size, channels)
    return network
