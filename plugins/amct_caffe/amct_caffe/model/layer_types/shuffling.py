"""Layers that move values between channels and places: ShuffleChannel, PixelShuffle, Reorg.

* **ShuffleChannel** takes channels from one group after the other: output channel ``j * group + i``
  is number ``j`` of group ``i``.  Source: farmingyard/ShuffleNet, shuffle_channel_layer.cpp; the
  manual of ATC, extended operators.
* **PixelShuffle** makes ``r x r`` places of ``r * r`` channels: output ``(c, h * r + dy, w * r +
  dx)`` is input ``(c * r * r + dy * r + dx, h, w)``.  Source: W. Shi et al., "Real-Time Single
  Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network"
  (2016), equation 4.
* **Reorg** is Darknet's, as the Caffes for YOLO v2 have it.  With ``reverse`` it makes places of
  channels, output ``(c, h * s + dy, w * s + dx)`` from input ``((dy * s + dx) * C + c, h, w)`` with
  ``C`` output channels.  Without it the input's memory, C x H x W, is read as if it were
  C / s^2 x H s x W s, and that goes the way back: for an input of such a shape the layer would
  be the inverse.  Sources: ``reorg_cpu`` of pjreddie/darknet, blas.c; reorg_layer.cpp of
  those Caffes, which hand ``reverse`` over as its ``forward``.  The manual of ATC describes its
  operator PassThrough without that reading.
"""

from __future__ import annotations

from typing import List, Sequence, Tuple

import attrs
import numpy as np

from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.layer_types.axes import Array, Outputs, Shapes, unknown
from amct_caffe.model.layer_types.fitting import channels
from amct_caffe.model.layer_types.variants import declared, given
from amct_caffe.model.parameters import Parameters
from amct_core.errors import ModelError
from amct_core.extensions import LayerType, OnnxWriter, Sign, same_shape
from amct_core.extensions.layer_type import Shape
from amct_core.graph import Node
from amct_core.graph.attributes import Attributes

_PIXEL_SHUFFLE = ("pixel_shuffle_param", "pixelshuffle_param")
_IMAGE_AXES = 4


@attrs.frozen
class ShuffleChannel(Attributes):
    """Channels of ``group`` groups, taken in turn."""

    group: int


@attrs.frozen
class PixelShuffle(Attributes):
    """``factor * factor`` channels become ``factor x factor`` places."""

    factor: int


@attrs.frozen
class Reorg(Attributes):
    """``stride x stride`` places become channels, or with ``reverse`` channels become places."""

    stride: int
    reverse: bool


def _read_shuffle(layer: Layer) -> ShuffleChannel:
    return ShuffleChannel(Parameters(layer, "shuffle_channel_param").integer("group"))


def _read_pixel_shuffle(layer: Layer) -> PixelShuffle:
    return PixelShuffle(given(layer, *_PIXEL_SHUFFLE).integer("upscale_factor"))


def _is_pixel_shuffle(layer: Layer) -> bool:
    return declared(*_PIXEL_SHUFFLE)(layer) and given(layer, *_PIXEL_SHUFFLE).has("upscale_factor")


def _read_reorg(layer: Layer) -> Reorg:
    parameters = Parameters(layer, "reorg_param")
    return Reorg(parameters.integer("stride"), parameters.boolean("reverse"))


def _multiple(node: Node, shape: Shape, divisors: Tuple[int, ...]) -> None:
    """Check that channels and further sizes are multiples of ``divisors``.

    Raises:
        ModelError: one is not, or there is nothing to divide by.
    """
    for name, size, divisor in zip(("channels", "rows", "columns"), shape[1:], divisors):
        if divisor <= 0 or size % divisor:
            raise ModelError(
                f"its input {shape} has {size} {name}; expected a multiple of {divisor}.",
                layer=node.name,
                remedy="Check the parameters of this layer against its input.",
            )


def _check_shuffle(node: Node, inputs: Shapes) -> None:
    channels(node, inputs)
    _multiple(node, inputs[0], (node.typed(ShuffleChannel).group,))


def _pixel_shuffle_shape(node: Node, inputs: Shapes) -> Outputs:
    if len(inputs[0]) != _IMAGE_AXES:
        return unknown(node)
    batch, depth, height, width = inputs[0]
    factor = node.typed(PixelShuffle).factor
    _multiple(node, inputs[0], (factor * factor,))
    return [(batch, depth // factor**2, height * factor, width * factor)]


def _reorg_shape(node: Node, inputs: Shapes) -> Outputs:
    a = node.typed(Reorg)
    if len(inputs[0]) != _IMAGE_AXES:
        return unknown(node)
    batch, depth, height, width = inputs[0]
    square = a.stride * a.stride
    if a.reverse:
        _multiple(node, inputs[0], (square,))
        return [(batch, depth // square, height * a.stride, width * a.stride)]
    # Channels as well, which are what the memory is read as.
    _multiple(node, inputs[0], (square, a.stride, a.stride))
    return [(batch, depth * square, height // a.stride, width // a.stride)]


def shuffle_channel(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the channels, one of each group in turn."""
    x, group = inputs[0], node.typed(ShuffleChannel).group
    _multiple(node, x.shape, (group,))
    grouped = x.reshape(x.shape[0], group, -1, *x.shape[2:])
    return [np.ascontiguousarray(grouped.swapaxes(1, 2)).reshape(x.shape)]


def pixel_shuffle(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the input with places made of channels."""
    x, r = inputs[0], node.typed(PixelShuffle).factor
    (shape,) = _pixel_shuffle_shape(node, [x.shape])
    assert shape is not None
    batch, depth, height, width = x.shape
    parts = x.reshape(batch, depth // (r * r), r, r, height, width)
    return [parts.transpose(0, 1, 4, 2, 5, 3).reshape(shape)]


def reorg(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the input with places made of channels or, read as above, channels of places."""
    x, a = inputs[0], node.typed(Reorg)
    (shape,) = _reorg_shape(node, [x.shape])
    assert shape is not None
    parts = x.reshape(_reorg_parts(a, x.shape))
    return [np.ascontiguousarray(parts.transpose(_reorg_order(a))).reshape(shape)]


def _reorg_parts(a: Reorg, shape: Shape) -> Shape:
    """Return the axes into which the input falls."""
    batch, depth, height, width = shape
    s, fewer = a.stride, depth // (a.stride * a.stride)
    if a.reverse:
        return (batch, s, s, fewer, height, width)
    return (batch, fewer, height, s, width, s)


def _reorg_order(a: Reorg) -> Tuple[int, ...]:
    return (0, 3, 4, 1, 5, 2) if a.reverse else (0, 3, 5, 1, 2, 4)


def _shuffle_onnx(
    writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    channels, group = writer.shape(node, node.inputs[0])[1], node.typed(ShuffleChannel).group
    order = [i * (channels // group) + j for j in range(channels // group) for i in range(group)]
    writer.add("Gather", [*inputs, writer.constant(order, np.int64)], outputs[0], axis=1)


def _pixel_shuffle_onnx(
    writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    factor = node.typed(PixelShuffle).factor
    writer.add("DepthToSpace", inputs, outputs[0], blocksize=factor, mode="CRD")


def _reorg_onnx(
    writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    a = node.typed(Reorg)
    if a.reverse:
        writer.add("DepthToSpace", inputs, outputs[0], blocksize=a.stride, mode="DCR")
        return
    parts = _reorg_parts(a, writer.shape(node, node.inputs[0]))[1:]
    shape = writer.shape(node, node.outputs[0])[1:]
    split = writer.add("Reshape", [*inputs, writer.constant([-1, *parts], np.int64)])
    moved = writer.add("Transpose", [split], perm=list(_reorg_order(a)))
    writer.add("Reshape", [moved, writer.constant([-1, *shape], np.int64)], outputs[0])


LAYER_TYPES = (
    LayerType(
        "PixelShuffle",
        holds_for=_is_pixel_shuffle,
        attributes=_read_pixel_shuffle,
        shape=_pixel_shuffle_shape,
        sign=Sign.KEPT,
        run=pixel_shuffle,
        by_sample=True,
        selects_values=True,
        onnx=_pixel_shuffle_onnx,
    ),
    LayerType(
        "Reorg",
        parameters="reorg_param",
        holds_for=declared("reorg_param"),
        attributes=_read_reorg,
        shape=_reorg_shape,
        sign=Sign.KEPT,
        run=reorg,
        by_sample=True,
        selects_values=True,
        onnx=_reorg_onnx,
    ),
    LayerType(
        "ShuffleChannel",
        parameters="shuffle_channel_param",
        holds_for=declared("shuffle_channel_param"),
        attributes=_read_shuffle,
        shape=same_shape,
        check_inputs=_check_shuffle,
        sign=Sign.KEPT,
        run=shuffle_channel,
        by_sample=True,
        selects_values=True,
        onnx=_shuffle_onnx,
    ),
)
