"""Convolution and Deconvolution.

Both are computed as Caffe writes them: a matrix product with the unfolded input (im2col), or the
folding of a matrix product (col2im).  Padding is zero, which in integers means ``q - offset = 0``.
Float results depend on the order in which a BLAS adds; integers do not.

The English page of AMCT says that a quantizable layer has a "4 x 4 filter"; the Chinese original of
the same table says that the filter has four *dimensions*, which is what is checked here.

Sources: ``LayerSetUp`` and ``compute_output_shape`` of BVLC Caffe's base_conv_layer, conv_layer and
deconv_layer; AMCT's documentation for what is quantizable.
"""

from __future__ import annotations

import math
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

import attrs
import numpy as np

from amct_caffe.model.expected_blob import Dim, ExpectedBlob, bias_blob
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.layer_types.axes import Array, Outputs, Shapes, canonical_axis, unknown
from amct_caffe.model.layer_types.integer_onnx import FLOAT, INT32, SIGN, add_bias, as_uint8, zero
from amct_caffe.model.layer_types.sizes import per_axis
from amct_caffe.model.parameters import Parameters
from amct_core.accumulator_parts import accumulator_parts, weights_of_part
from amct_core.errors import ModelError
from amct_core.extensions import (
    LayerType,
    OnnxWriter,
    PartInput,
    Quantization,
    WeightAxes,
)
from amct_core.extensions.layer_type import Shape
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import Convolution
from amct_core.numerics import exactness, products
from amct_core.numerics.windows import convolved_size, deconvolved_size

_DEFAULT_SPATIAL_AXES = 2
_MAX_PADDED = 2**31 - 1


def read(layer: Layer) -> Convolution:
    """Return the attributes of a convolution, with one size for each spatial axis."""
    parameters = Parameters(layer, "convolution_param")
    sizes = len(parameters.integers("kernel_size"))
    axes = sizes if sizes > 1 else _DEFAULT_SPATIAL_AXES
    return Convolution(
        num_output=parameters.integer("num_output"),
        kernel=per_axis(parameters, "kernel_size", "kernel", axes, None),
        stride=per_axis(parameters, "stride", "stride", axes, 1),
        pad=per_axis(parameters, "pad", "pad", axes, 0),
        dilation=per_axis(parameters, "dilation", None, axes, 1),
        group=parameters.integer("group"),
        bias_term=parameters.boolean("bias_term"),
        axis=parameters.integer("axis"),
    )


def over_axes(a: Convolution, axes: int) -> Optional[Convolution]:
    """Return ``a`` over as many spatial axes; None if its sizes are for another number of them.

    One size stands for as many axes as there are, which only the weights or the input tell.
    """
    if len(a.kernel) == axes:
        return a
    lists = (a.kernel, a.stride, a.pad, a.dilation)
    if any(len(set(values)) != 1 for values in lists):
        return None
    kernel, stride, pad, dilation = (values[:1] * axes for values in lists)
    return attrs.evolve(a, kernel=kernel, stride=stride, pad=pad, dilation=dilation)


def blobs(layer: Layer) -> List[ExpectedBlob]:
    """Return what weights (outputs, channels of a group, *kernel) and bias look like."""
    parameters = layer.parameters("convolution_param")
    outputs = parameters.integer("num_output")
    return _filter_blobs(layer, (outputs, None))


def _deconvolution_blobs(layer: Layer) -> List[ExpectedBlob]:
    parameters = layer.parameters("convolution_param")
    outputs, group = parameters.integer("num_output"), parameters.integer("group", 1) or 1
    return _filter_blobs(layer, (None, None if outputs is None else outputs // group))


def _filter_blobs(layer: Layer, channels: Tuple[Dim, ...]) -> List[ExpectedBlob]:
    parameters = layer.parameters("convolution_param")
    sizes = parameters.integers("kernel_size")
    sides = (parameters.integer("kernel_h"), parameters.integer("kernel_w"))
    if sides != (None, None):
        weights = ExpectedBlob(channels + sides)
    elif len(sizes) == 1:
        weights = ExpectedBlob(channels, sizes[0])
    else:
        weights = ExpectedBlob(channels + tuple(sizes))
    return [weights, *bias_blob(parameters, parameters.integer("num_output"))]


def _split(node: Node, shape: Shape) -> Optional[Tuple[Convolution, Shape, Shape]]:
    """Return the attributes, and the shape before and after the channel axis."""
    axis = canonical_axis(node, node.typed(Convolution).axis, shape)
    a = over_axes(node.typed(Convolution), len(shape) - axis - 1)
    return None if a is None else (a, shape[:axis], shape[axis + 1 :])


def _check_sizes(a: Convolution, shape: Shape, leading: Shape, sizes: Shape) -> None:
    """Check what Caffe checks in ``LayerSetUp``, and that the padded input can be held."""
    channels = shape[len(leading)]
    for field, count in (("channels of its input", channels), ("num_output", a.num_output)):
        if a.group < 1 or count % a.group:
            raise ModelError(
                f"its group is {a.group}; expected a divisor of {count}, the {field}.",
                field="convolution_param.group",
                remedy="Correct the group.",
            )
    for field in ("kernel", "stride", "dilation"):
        if any(value < 1 for value in getattr(a, field)):
            raise ModelError(
                f"its {field} is {getattr(a, field)}; expected integers above 0.",
                field=f"convolution_param.{field}",
                remedy="Correct it.",
            )
    padded = math.prod(shape[: len(leading) + 1]) * math.prod(
        size + 2 * pad for size, pad in zip(sizes, a.pad)
    )
    if padded > _MAX_PADDED or any(pad < 0 for pad in a.pad):
        raise ModelError(
            f"its pad is {a.pad} around {sizes}; expected at most {_MAX_PADDED} padded numbers.",
            field="convolution_param.pad",
            remedy="Correct the padding.",
        )


def _shape(node: Node, inputs: Shapes) -> Outputs:
    """Return (..., num_output, sizes rounded down)."""
    split = _split(node, inputs[0])
    if split is None:
        return unknown(node)
    a, leading, sizes = split
    _check_sizes(a, inputs[0], leading, sizes)
    spatial = map(convolved_size, sizes, a.kernel, a.stride, a.pad, a.dilation)
    return [(*leading, a.num_output, *spatial)] * len(node.bottoms)


def _deconvolution_shape(node: Node, inputs: Shapes) -> Outputs:
    """Return (..., num_output, the sizes whose convolution has the input's)."""
    split = _split(node, inputs[0])
    if split is None:
        return unknown(node)
    a, leading, sizes = split
    _check_sizes(a, inputs[0], leading, sizes)
    spatial = map(deconvolved_size, sizes, a.kernel, a.stride, a.pad, a.dilation)
    return [(*leading, a.num_output, *spatial)] * len(node.bottoms)


def check_convolution(node: Node, graph: Graph) -> Optional[str]:
    """Return why a Convolution does not qualify: its filter must be 4-D."""
    a = node.typed(Convolution)
    if len(a.kernel) != 2 or a.axis != 1:
        return (
            f"its filter has {len(a.kernel) + 2} dimensions (axis {a.axis}); expected 4 (axis 1)."
        )
    if len(node.bottoms) != 1 or len(node.tops) != 1:
        return f"it has {len(node.bottoms)} bottoms and {len(node.tops)} tops; expected one each."
    return None


def check_deconvolution(node: Node, graph: Graph) -> Optional[str]:
    """Return why a Deconvolution does not qualify: 4-D filter, dilation 1, group 1."""
    reason = check_grouped_deconvolution(node, graph)
    if reason is not None:
        return reason
    if not has_one_group(node):
        return f"its group is {node.typed(Convolution).group}; expected 1."
    return None


def check_grouped_deconvolution(node: Node, graph: Graph) -> Optional[str]:
    """Return the same for post-training quantization, where AMCT asks for no group."""
    reason = check_convolution(node, graph)
    if reason is not None:
        return reason
    a = node.typed(Convolution)
    if any(d != 1 for d in a.dilation):
        return f"its dilation is {a.dilation}; expected 1."
    return None


def has_one_group(node: Node) -> bool:
    """Return whether axis 1 of a Deconvolution's weights counts all of its output channels.

    With groups it counts those of one group, and a scale per entry would be none per channel.
    """
    return node.typed(Convolution).group == 1


def unfold(x: Array, a: Convolution) -> Tuple[Array, Tuple[int, ...]]:
    """Return the windows of ``x`` (N, C, *size) as (N, C * kernel, positions), and the output size.

    Any number of spatial axes; two for an image.
    """
    batch, channels = x.shape[:2]
    out = tuple(map(convolved_size, x.shape[2:], a.kernel, a.stride, a.pad, a.dilation))
    padded = np.pad(x, ((0, 0), (0, 0), *((pad, pad) for pad in a.pad)))
    windows = np.empty((batch, channels, *a.kernel, *out), x.dtype)
    for tap in np.ndindex(*a.kernel):
        windows[_at(tap)] = padded[_taps(a, tap, out)]
    return windows.reshape(batch, channels * math.prod(a.kernel), math.prod(out)), out


def _taps(a: Convolution, tap: Tuple[int, ...], out: Sequence[int]) -> Tuple[Any, ...]:
    """Return which part of the padded input one tap of the kernel meets, all channels of it."""
    return _at(
        slice(i * dilation, i * dilation + (size - 1) * stride + 1, stride)
        for i, dilation, stride, size in zip(tap, a.dilation, a.stride, out)
    )


def _at(places: Iterable[Any]) -> Tuple[Any, ...]:
    """Return an index: all samples, all channels, and ``places`` of the axes behind them."""
    return (slice(None), slice(None), *places)


def convolve(node: Node, x: Array) -> Array:
    """Return the convolution of ``x`` with ``node.weights`` and its bias, if it has one."""
    a, weights = node.typed(Convolution), node.weights[0]
    columns, out = unfold(x, a)
    outputs = weights.shape[0] // a.group
    depth = columns.shape[1] // a.group
    parts = [
        products.matmul(
            weights[g * outputs : (g + 1) * outputs].reshape(outputs, -1),
            columns[:, g * depth : (g + 1) * depth],
        )
        for g in range(a.group)
    ]
    result = np.concatenate(parts, axis=1).reshape(x.shape[0], -1, *out)
    return products.add_bias(result, node.weights[1]) if len(node.weights) > 1 else result


def deconvolve(node: Node, x: Array) -> Array:
    """Return the transposed convolution of ``x`` with ``node.weights`` and its bias."""
    a, weights = node.typed(Convolution), node.weights[0]
    batch, channels, *size = x.shape
    inputs, outputs = channels // a.group, weights.shape[1]
    parts: List[Array] = []
    for g in range(a.group):
        part = weights[g * inputs : (g + 1) * inputs].reshape(inputs, -1)
        flat = x[:, g * inputs : (g + 1) * inputs].reshape(batch, inputs, -1)
        columns = products.matmul(np.ascontiguousarray(part.T), flat)
        parts.append(_fold(columns.reshape(batch, outputs, *a.kernel, *size), a))
    result = np.concatenate(parts, axis=1)
    return products.add_bias(result, node.weights[1]) if len(node.weights) > 1 else result


def _fold(columns: Array, a: Convolution) -> Array:
    """Add the windows (N, C, *kernel, *size) up where they overlap, and cut the padding off."""
    batch, channels = columns.shape[:2]
    size = columns.shape[2 + len(a.kernel) :]
    full = [
        deconvolved_size(n, kernel, stride, 0, dilation)
        for n, kernel, stride, dilation in zip(size, a.kernel, a.stride, a.dilation)
    ]
    result = np.zeros((batch, channels, *full), columns.dtype)
    for tap in np.ndindex(*a.kernel):
        result[_taps(a, tap, size)] += columns[_at(tap)]
    cut: Array = result[_at(slice(pad, total - pad) for pad, total in zip(a.pad, full))]
    return cut


def _window(a: Convolution) -> Dict[str, Any]:
    return {
        "kernel_shape": list(a.kernel),
        "strides": list(a.stride),
        "pads": [*a.pad, *a.pad],
        "dilations": list(a.dilation),
        "group": a.group,
    }


def _onnx(operator: str) -> Any:
    def write(
        writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
    ) -> None:
        constants = [writer.constant(blob, np.float32) for blob in node.weights]
        window = _window(node.typed(Convolution))
        for x, y in zip(inputs, outputs):
            writer.add(operator, [x, *constants], y, **window)

    return write


def _onnx_convolve(writer: OnnxWriter, node: Node, q: str, offset: int) -> str:
    weights, weight_zero = as_uint8(writer, node.weights[0])
    inputs = [q, weights, zero(writer, offset), weight_zero]
    sums = writer.add("ConvInteger", inputs, **_window(node.typed(Convolution)))
    return add_bias(writer, node, sums)


def _onnx_deconvolve(writer: OnnxWriter, node: Node, q: str, offset: int) -> str:
    """ONNX has no integer form; float32 is exact while sums stay below 2**24.

    Where a sum could exceed that, each part of the input channels is a layer of its own, as in the
    fake-quant model, and the parts are added in int32.
    """
    weights, axes = node.weights[0], node.type.weights
    parts = accumulator_parts(axes, weights, offset)
    floats = writer.add("Cast", [q], to=FLOAT)
    centered = writer.add("Sub", [floats, writer.constant(offset + SIGN, np.float32)])
    total: Optional[str] = None
    for part in parts:
        assert axes is not None
        own = weights_of_part(axes, weights, part)
        _check_part(node, own, offset)
        sums = _onnx_part(writer, node, centered, own, part if len(parts) > 1 else None)
        total = sums if total is None else writer.add("Add", [total, sums])
    assert total is not None
    return add_bias(writer, node, total)


def _check_part(node: Node, weights: Array, offset: int) -> None:
    """Check that float32 holds all sums of one part.

    An output meets every ``stride``-th weight only, along each axis.

    Raises:
        ModelError: it does not: one input channel alone exceeds what it can hold.
    """
    strides = node.typed(Convolution).stride
    met = (weights[_at(map(slice, at, weights.shape[2:], strides))] for at in np.ndindex(*strides))
    bound = max(int(exactness.partial_sum_bound(each, offset, 1).max()) for each in met)
    if bound >= exactness.EXACT_LIMIT:
        raise ModelError(
            f"the sums of one input channel can reach {bound}, and ONNX has no integer "
            "Deconvolution: float32 is exact below 2^24 only.",
            layer=node.name,
            remedy="Disable the layer in the config.",
        )


def _onnx_part(
    writer: OnnxWriter, node: Node, centered: str, weights: Array, part: Optional[slice]
) -> str:
    """Return the int32 sums over some input channels; over all of them, if ``part`` is None."""
    if part is not None:
        ends = [writer.constant([end], np.int64) for end in (part.start, part.stop, 1)]
        centered = writer.add("Slice", [centered, *ends])
    filters = writer.constant(weights, np.float32)
    window = _window(node.typed(Convolution))
    return writer.add(
        "Cast", [writer.add("ConvTranspose", [centered, filters], **window)], to=INT32
    )


CONVOLUTION = LayerType(
    "Convolution",
    parameters="convolution_param",
    attributes=read,
    blobs=blobs,
    shape=_shape,
    weights=WeightAxes(output=0, input=1, part_input=PartInput.CHANNELS),
    folds_batch_norm=True,
    quantization=Quantization(
        check_convolution, default_channel_wise=True, channel_wise_allowed=True
    ),
    run=lambda node, inputs: [convolve(node, x) for x in inputs],
    exact=False,
    by_sample=True,
    accumulate=convolve,
    onnx=_onnx("Conv"),
    onnx_accumulate=_onnx_convolve,
)

LAYER_TYPES = (
    CONVOLUTION,
    LayerType(
        "Deconvolution",
        parameters="convolution_param",
        attributes=read,
        blobs=_deconvolution_blobs,
        shape=_deconvolution_shape,
        weights=WeightAxes(output=1, input=0, part_input=PartInput.CHANNELS),
        folds_batch_norm=True,
        quantization=Quantization(
            check_deconvolution,
            check_post_training=check_grouped_deconvolution,
            default_channel_wise=True,
            channel_wise_allowed=has_one_group,
        ),
        run=lambda node, inputs: [deconvolve(node, x) for x in inputs],
        exact=False,
        accumulate=deconvolve,
        onnx=_onnx("ConvTranspose"),
        onnx_accumulate=_onnx_deconvolve,
    ),
)
