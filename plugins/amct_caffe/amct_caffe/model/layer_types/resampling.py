"""Layers that change height and width: Upsample and Interp.

**Upsample** repeats each value.  Ascend's has ``stride`` (or ``stride_h`` and ``stride_w``), by
which height and width grow, and multiplies the values by ``scale``; that of the Caffes that take
Darknet's models has ``scale`` alone, by which height and width grow.  So ``scale`` is a factor of
values where a stride stands beside it, and one of sizes where it stands alone.  The Upsample of
SegNet has a second bottom, the places of the maxima, and is another layer.

Sources: the manual of ATC, extended operators; canndev, upsample_plugin.cc; ChenYingpeng/
darknet2caffe, upsample_layer.cpp.

**Interp** interpolates linearly between the corners of the input (ONNX: ``align_corners``): output
``i`` lies at ``i * (n_in - 1) / (n_out - 1)``.  Negative padding cuts the input first.  The output
has, by what is given:

* one of ``shrink_factor``: ``(n - 1) / shrink + 1``, rounded down, and ``zoom_factor``:
  ``n + (n - 1) * (zoom - 1)``;
* else ``height`` and ``width``;
* else both factors, in this order;
* the height and width of a second bottom, if there is one.

Source: G. Papandreou's interp_layer.cpp and util/interp.cpp, in the Caffes of DeepLab, PSPNet and
ICNet.  Its compiler may join multiplications and additions, so the result is not claimed to be
exact.
"""

from __future__ import annotations

import math
from typing import List, Optional, Sequence, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.layer_types.axes import Array, Outputs, Shapes, unknown
from amct_caffe.model.layer_types.fitting import image, misfit
from amct_caffe.model.layer_types.variants import declared
from amct_caffe.model.parameters import Parameters
from amct_core.extensions import LayerType, OnnxWriter, Sign
from amct_core.graph import Node
from amct_core.graph.attributes import Attributes, Pair
from amct_core.textproto import Message

_IMAGE_AXES = 4
_SIZES = ("height", "width", "zoom_factor", "shrink_factor")


@attrs.frozen
class Upsample(Attributes):
    """Each value ``factors`` (down, right) times, multiplied by ``scale``."""

    factors: Pair
    scale: float = 1.0


@attrs.frozen
class Interp(Attributes):
    """Bilinear interpolation to ``size``, or to a size that follows from the input's.

    ``pad_begin`` and ``pad_end`` are at most 0: how much of each side is cut off.
    """

    size: Optional[Pair] = None
    shrink: int = 1
    zoom: int = 1
    pad_begin: int = 0
    pad_end: int = 0


def _read_upsample(layer: Layer) -> Upsample:
    parameters = Parameters(layer, "upsample_param")
    strides = ("stride", "stride") if parameters.has("stride") else ("stride_h", "stride_w")
    if _is_darknets(parameters):
        given = parameters.number("scale")
        scale = int(given) if math.isfinite(given) else 0
        return Upsample((scale, scale))
    down, right = (parameters.integer(name) for name in strides)
    return Upsample((down, right), parameters.number("scale"))


def _is_darknets(parameters: Parameters) -> bool:
    return parameters.has("scale") and not parameters.has("stride", "stride_h", "stride_w")


def _is_upsample(layer: Layer) -> bool:
    parameters = Parameters(layer, "upsample_param")
    if not declared("upsample_param")(layer) or min(_read_upsample(layer).factors) <= 0:
        return False
    return not _is_darknets(parameters) or parameters.number("scale").is_integer()


def _with_stride(layer: Layer) -> Layer:
    """Write the size as a stride: ATC takes a ``scale`` for a factor of the values."""
    a, plain = _read_upsample(layer), layer.copy()
    names = ("stride",) if a.factors[0] == a.factors[1] else ("stride_h", "stride_w")
    parameters = Message()
    parameters.set("scale", a.scale)
    for name, factor in zip(names, a.factors):
        parameters.set(name, factor)
    plain.message.set("upsample_param", parameters)
    return plain


def _upsample_shape(node: Node, inputs: Shapes) -> Outputs:
    if len(inputs[0]) != _IMAGE_AXES:
        return unknown(node)
    batch, channels, height, width = inputs[0]
    down, right = node.typed(Upsample).factors
    return [(batch, channels, height * down, width * right)]


def upsample(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the input with each value repeated."""
    a = node.typed(Upsample)
    x = inputs[0].repeat(a.factors[0], axis=2).repeat(a.factors[1], axis=3)
    return [x if a.scale == 1 else x * np.float32(a.scale)]


def _upsample_onnx(
    writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    a = node.typed(Upsample)
    scales = writer.constant([1, 1, *a.factors], np.float32)
    places = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    resized = [inputs[0], "", scales]
    if a.scale == 1:
        writer.add("Resize", resized, outputs[0], mode="nearest", **places)
        return
    repeated = writer.add("Resize", resized, mode="nearest", **places)
    writer.add("Mul", [repeated, writer.constant(a.scale, np.float32)], outputs[0])


def _read_interp(layer: Layer) -> Interp:
    parameters = Parameters(layer, "interp_param")
    one_factor = parameters.has("zoom_factor") != parameters.has("shrink_factor")
    sized = parameters.has("height") and parameters.has("width") and not one_factor
    return Interp(
        size=(parameters.integer("height"), parameters.integer("width")) if sized else None,
        shrink=parameters.integer("shrink_factor"),
        zoom=parameters.integer("zoom_factor"),
        pad_begin=parameters.integer("pad_beg"),
        pad_end=parameters.integer("pad_end"),
    )


def _is_interp(layer: Layer) -> bool:
    parameters = Parameters(layer, "interp_param")
    if not declared("interp_param", bottoms=2)(layer):
        return False
    one_bottom = len(layer.bottoms) == 1
    factors = parameters.has("zoom_factor", "shrink_factor")
    sized = factors or (parameters.has("height") and parameters.has("width"))
    a = _read_interp(layer)
    in_range = min(a.shrink, a.zoom) > 0 and max(a.pad_begin, a.pad_end) <= 0
    return in_range and (sized if one_bottom else not parameters.has(*_SIZES))


def _interp_sizes(node: Node, inputs: Shapes) -> Pair:
    """Return height and width of the output."""
    a = node.typed(Interp)
    if len(inputs) > 1:
        return inputs[1][2], inputs[1][3]
    if a.size is not None:
        return a.size
    sizes = []
    for size in inputs[0][2:]:
        shrunk = (size + a.pad_begin + a.pad_end - 1) // a.shrink + 1
        sizes.append(shrunk + (shrunk - 1) * (a.zoom - 1))
    return sizes[0], sizes[1]


def _check_interp(node: Node, inputs: Shapes) -> None:
    a = node.typed(Interp)
    for shape in inputs:
        image(node, [shape])
    if min(inputs[0][2:]) + a.pad_begin + a.pad_end < 1:
        raise misfit(node, inputs[0], "has no pixel left of what is cut off")


def _interp_shape(node: Node, inputs: Shapes) -> Outputs:
    if any(len(shape) != _IMAGE_AXES for shape in inputs):
        return unknown(node)
    return [(*inputs[0][:2], *_interp_sizes(node, inputs))]


def interp(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the input, interpolated; rows first within each pair, then the two rows."""
    a = node.typed(Interp)
    height, width = _interp_sizes(node, [x.shape for x in inputs])
    x = inputs[0]
    x = x[_window(a, x.shape)]
    if x.shape[2:] == (height, width):
        return [np.ascontiguousarray(x)]
    top, bottom, below = _neighbours(x.shape[2], height)
    left, right, beyond = _neighbours(x.shape[3], width)
    one, below = np.float32(1), below[:, np.newaxis]

    def across(rows: Array) -> Array:
        return np.asarray((one - beyond) * rows[..., left] + beyond * rows[..., right])

    return [(one - below) * across(x[:, :, top]) + below * across(x[:, :, bottom])]


def _window(a: Interp, shape: Tuple[int, ...]) -> Tuple[slice, ...]:
    """Return what padding leaves of the input."""
    cut = [slice(-a.pad_begin, size + a.pad_end) for size in shape[2:]]
    return (slice(None), slice(None), *cut)


def _neighbours(
    size: int, wanted: int
) -> Tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return, for each output, the places before and behind it, and the latter's part of it."""
    ratio = np.float32(size - 1) / np.float32(wanted - 1) if wanted > 1 else np.float32(0)
    position = ratio * np.arange(wanted, dtype=np.float32)
    before = position.astype(np.int64)
    part = position - before.astype(np.float32)
    return before, np.minimum(before + 1, size - 1), part.astype(np.float32)


def _interp_onnx(
    writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    a = node.typed(Interp)
    shape = writer.shape(node, node.inputs[0])
    sizes = writer.shape(node, node.outputs[0])[2:]
    x = inputs[0]
    if a.pad_begin or a.pad_end:
        cut = _window(a, shape)[2:]
        starts, ends = [part.start for part in cut], [part.stop for part in cut]
        places = [writer.constant(values, np.int64) for values in (starts, ends, (2, 3))]
        x = writer.add("Slice", [x, *places])
    # Sizes and not scales, whose products could be rounded down; the batch is as large as it is.
    ends = [writer.constant([place], np.int64) for place in (0, 2)]
    kept = writer.add("Slice", [writer.add("Shape", [x]), *ends])
    wanted = writer.add("Concat", [kept, writer.constant(sizes, np.int64)], axis=0)
    corners = {"coordinate_transformation_mode": "align_corners"}
    writer.add("Resize", [x, "", "", wanted], outputs[0], mode="linear", **corners)


LAYER_TYPES = (
    LayerType(
        "Interp",
        parameters="interp_param",
        holds_for=_is_interp,
        attributes=_read_interp,
        shape=_interp_shape,
        check_inputs=_check_interp,
        needs_every_shape=True,
        keeps_channels=True,
        sign=Sign.KEPT,
        data_inputs=1,  # the second one is a shape
        run=interp,
        exact=False,
        by_sample=True,
        onnx=_interp_onnx,
    ),
    LayerType(
        "Upsample",
        parameters="upsample_param",
        holds_for=_is_upsample,
        attributes=_read_upsample,
        shape=_upsample_shape,
        keeps_channels=True,
        sign=lambda node: Sign.KEPT if node.typed(Upsample).scale >= 0 else Sign.ANY,
        run=upsample,
        by_sample=True,
        selects_values=lambda node: node.typed(Upsample).scale == 1,
        plain_layer=_with_stride,
        onnx=_upsample_onnx,
    ),
)
