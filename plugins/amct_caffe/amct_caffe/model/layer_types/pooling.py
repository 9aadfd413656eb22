"""Pooling as Caffe computes it: windows clipped at the border, sums in row order.

Sources: BVLC Caffe, pooling_layer.cpp; AMCT's documentation for what is quantizable.
"""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.layer_types.axes import Array, Outputs, Shapes, unknown
from amct_caffe.model.layer_types.integer_onnx import as_uint8, zero
from amct_caffe.model.layer_types.sizes import pair
from amct_caffe.model.parameters import Parameters
from amct_core.errors import ModelError
from amct_core.extensions import LayerType, OnnxWriter, Quantization, Sign
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import Pooling
from amct_core.graph.shapes import known_shapes
from amct_core.numerics import pooling as numerics
from amct_core.numerics.windows import pooled_size

_MOST = 2**31 - 1
"""Caffe keeps a size in an int."""


def _read(layer: Layer) -> Pooling:
    parameters = Parameters(layer, "pooling_param")
    is_global = parameters.boolean("global_pooling")
    return Pooling(
        method=parameters.enum("pool"),
        kernel=None if is_global else pair(parameters, "kernel_size", "kernel"),
        stride=pair(parameters, "stride", "stride"),
        pad=pair(parameters, "pad", "pad"),
        global_pooling=is_global,
        ceil_mode=_rounds_up(parameters),
    )


def _rounds_up(parameters: Parameters) -> bool:
    # BVLC has round_mode; Ascend's and some other Caffes have ceil_mode as well.
    if parameters.has("round_mode"):
        return parameters.enum("round_mode") == "CEIL"
    return bool(parameters.message.boolean("ceil_mode", True))


def _shape(node: Node, inputs: Shapes) -> Outputs:
    """Return the pooled sizes; 1 x 1 for global pooling."""
    a = node.typed(Pooling)
    _check_window(node, a)
    if len(inputs[0]) != 4:
        return unknown(node)
    batch, channels, *sizes = inputs[0]
    if a.global_pooling or a.kernel is None:
        return [(batch, channels, 1, 1)] * len(node.tops)
    pooled = (
        pooled_size(size, kernel, stride, pad, any(a.pad), a.ceil_mode)
        for size, kernel, stride, pad in zip(sizes, a.kernel, a.stride, a.pad)
    )
    return [(batch, channels, *pooled)] * len(node.tops)


def _check_window(node: Node, a: Pooling) -> None:
    """Check what Caffe checks in ``LayerSetUp``."""
    kernel = a.kernel or (1, 1)
    fits = all(size > pad >= 0 for size, pad in zip(kernel, a.pad))
    if min(*kernel, *a.stride) < 1 or max(*kernel, *a.stride) > _MOST or not fits:
        raise ModelError(
            f"its kernel is {a.kernel}, its stride {a.stride}, its pad {a.pad}; expected integers "
            f"of 1 to {_MOST}, and a pad smaller than the kernel"
            + (", which is 1 for global_pooling." if a.kernel is None else "."),
            layer=node.name,
            field="pooling_param",
            remedy="Correct them.",
        )


def check_pooling(node: Node, graph: Graph) -> Optional[str]:
    """Return why a Pooling does not qualify: AVE, and not over the whole input.

    A window that covers the whole unpadded input counts as global pooling, as in AMCT and ATC.
    With a stride above the kernel, rounding the output size up can leave a last window without any
    input, and Caffe's average of it is NaN.
    """
    a = node.typed(Pooling)
    if a.method != "AVE":
        return f"its pooling method is {a.method}; expected AVE."
    if a.global_pooling or a.kernel is None:
        return "global_pooling is true; expected false."
    shape = known_shapes(graph).get(node.inputs[0])
    if shape is None or len(shape) != 4:
        return None
    height, width = shape[2:]
    if a.pad == (0, 0) and (height, width) == a.kernel:
        return f"its window {a.kernel} covers the whole input, which is global pooling."
    try:
        numerics.window_areas(height, width, a.kernel, a.stride, a.pad, a.ceil_mode)
    except ModelError as error:
        return error.problem
    return None


def divisor(node: Node) -> int:
    """Return the area of the full window."""
    kernel = node.typed(Pooling).kernel
    assert kernel is not None
    return kernel[0] * kernel[1]


@attrs.frozen
class _Windows:
    """Where the windows of one axis begin and end in the unpadded input."""

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, size: int, kernel: int, stride: int, pad: int, count: int) -> _Windows:
        starts = np.arange(count, dtype=np.int64) * stride - pad
        ends = np.minimum(starts + kernel, size + pad)
        return cls(np.maximum(starts, 0), np.minimum(ends, size))


def _geometry(a: Pooling, x: Array) -> Tuple[Tuple[int, int], _Windows, _Windows]:
    height, width = x.shape[2:]
    kernel = (height, width) if a.kernel is None else a.kernel
    out = numerics.output_size(height, width, kernel, a.stride, a.pad, a.ceil_mode)
    rows = _Windows.of(height, kernel[0], a.stride[0], a.pad[0], out[0])
    columns = _Windows.of(width, kernel[1], a.stride[1], a.pad[1], out[1])
    return kernel, rows, columns


def cannot_run(node: Node) -> Optional[str]:
    """Return why :func:`run` does not compute this layer, if it does not."""
    if len(node.tops) > 1:
        return "its second output, the places of the maxima, cannot be simulated."
    return None


def run(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the maximum or the average of each window, in float32."""
    x, a = inputs[0], node.typed(Pooling)
    if a.method == "MAX":
        # In Caffe NaN is never larger, which fmax has in common with it.
        _, rows, columns = _geometry(a, x)
        return [_reduce(x, rows, columns, np.fmax, np.float32(-np.finfo(np.float32).max))]
    if a.method != "AVE":
        raise ModelError(f"{a.method} pooling cannot be simulated.", layer=node.name)
    return [average(a, x)]


def average(a: Pooling, x: Array) -> Array:
    """Return the average of each window of ``x``, float32 ``[N, C, H, W]``."""
    kernel, rows, columns = _geometry(a, x)
    sums = _reduce(x, rows, columns, np.add, np.float32(0))
    height, width = x.shape[2:]
    areas = numerics.window_areas(height, width, kernel, a.stride, a.pad, a.ceil_mode)
    return np.asarray(sums / areas.astype(np.float32))


def _reduce(x: Array, rows: _Windows, columns: _Windows, combine: Any, first: Any) -> Array:
    """Combine the values of each window one after the other: row by row, left to right."""
    shape = (*x.shape[:2], len(rows.starts), len(columns.starts))
    result = np.full(shape, first, x.dtype)
    tall = int((rows.ends - rows.starts).max())
    wide = int((columns.ends - columns.starts).max())
    for down in range(tall):
        row = rows.starts + down
        has_row = row < rows.ends
        for right in range(wide):
            column = columns.starts + right
            has_column = column < columns.ends
            values = x[:, :, row[has_row]][:, :, :, column[has_column]]
            row_index, column_index = np.ix_(has_row, has_column)
            target = (slice(None), slice(None), row_index, column_index)
            result[target] = combine(result[target], values)
    return result


def accumulate(node: Node, centered: Array) -> Array:
    """Return the integer sum of each window of a quantized AVE Pooling."""
    _, rows, columns = _geometry(node.typed(Pooling), centered)
    return _reduce(centered.astype(np.int64), rows, columns, np.add, np.int64(0))


def _onnx(writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    a = node.typed(Pooling)
    if a.kernel is None or a.global_pooling:
        operator = "GlobalMaxPool" if a.method == "MAX" else "GlobalAveragePool"
        writer.add(operator, inputs, outputs[0])
        return
    pads = _pads(writer, node, a)
    window = {"kernel_shape": list(a.kernel), "strides": list(a.stride), "pads": pads}
    if a.method == "MAX":
        writer.add("MaxPool", inputs, outputs[0], **window)
        return
    if any(end > pad for end, pad in zip(pads[2:], a.pad)):
        raise ModelError(
            "an AVE Pooling in float whose last window is cut off has no form in ONNX.",
            layer=node.name,
            remedy="Quantize the layer, or simulate the model instead.",
        )
    writer.add("AveragePool", inputs, outputs[0], count_include_pad=1, **window)


def _onnx_accumulate(writer: OnnxWriter, node: Node, q: str, offset: int) -> str:
    """The sum of a window is a convolution of each channel with ones."""
    a = node.typed(Pooling)
    assert a.kernel is not None
    channels = writer.shape(node, node.inputs[0])[1]
    weights, weight_zero = as_uint8(writer, np.ones((channels, 1, *a.kernel)))
    return writer.add(
        "ConvInteger",
        [q, weights, zero(writer, offset), weight_zero],
        kernel_shape=list(a.kernel),
        strides=list(a.stride),
        pads=_pads(writer, node, a),
        group=channels,
    )


def _pads(writer: OnnxWriter, node: Node, a: Pooling) -> List[int]:
    """Return begins and ends, so that rounding down gives as many windows as Caffe has.

    Where the windows leave the end of the input out, nothing is added there: they are as many as
    fit.
    """
    assert a.kernel is not None
    sizes = writer.shape(node, node.inputs[0])[2:]
    outs = writer.shape(node, node.outputs[0])[2:]
    ends = [
        max(0, (out - 1) * stride + kernel - size - pad)
        for out, stride, kernel, size, pad in zip(outs, a.stride, a.kernel, sizes, a.pad)
    ]
    return [*a.pad, *ends]


LAYER_TYPES = (
    LayerType(
        "Pooling",
        parameters="pooling_param",
        attributes=_read,
        inputs=(1, 1),
        shape=_shape,
        keeps_channels=True,
        sign=Sign.KEPT,
        homogeneous=lambda node: node.typed(Pooling).method in ("MAX", "AVE"),
        quantization=Quantization(check_pooling, searches_shift=False, divisor=divisor),
        run=run,
        cannot_run=cannot_run,
        selects_values=lambda node: node.typed(Pooling).method == "MAX",
        accumulate=accumulate,
        onnx=_onnx,
        onnx_accumulate=_onnx_accumulate,
    ),
)
