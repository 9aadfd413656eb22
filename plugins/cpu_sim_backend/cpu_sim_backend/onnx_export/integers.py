"""Quant, the quantized layers, and DeQuant in standard operators.

8-bit values are uint8 ``q + 128``, because that is what onnxruntime's integer operators take;
accumulators are int32.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Tuple

import numpy as np
from onnx import TensorProto

from amct_core.errors import ModelError
from amct_core.extensions import LayerSimulator
from amct_core.graph import Node
from amct_core.graph.attributes import Convolution, Pooling, Quant
from amct_core.numerics import dequant, exactness, pooling
from cpu_sim_backend.onnx_export.builder import GraphBuilder

_SIGN = 128


def quant(builder: GraphBuilder, node: Node) -> None:
    """Write ``clamp(rint(x * scale + offset), -128, 127) + 128`` as uint8; Round is to even."""
    a = node.attributes
    assert isinstance(a, Quant)
    if a.float16:
        raise ModelError(
            "it quantizes in float16; the ONNX model holds exact integers only.",
            layer=node.name,
            remedy="Export the simulator of the model without a soc version.",
        )
    x = builder.name(node.inputs[0])
    scaled = builder.add("Mul", [x, builder.constant(a.scale, np.float32)])
    moved = builder.add("Add", [scaled, builder.constant(a.offset, np.float32)])
    limits = [builder.constant(limit, np.float32) for limit in (-128, 127)]
    rounded = builder.add("Clip", [builder.add("Round", [moved]), *limits])
    stored = builder.add("Add", [rounded, builder.constant(_SIGN, np.float32)])
    builder.add("Cast", [stored], builder.name(node.outputs[0]), to=TensorProto.UINT8)


def integer_layer(
    builder: GraphBuilder, node: Node, offset: int, own: Optional[LayerSimulator] = None
) -> None:
    """Write one quantized layer: int32 accumulators, bias included.

    Args:
        builder: what it is written into.
        node: the layer.
        offset: of its Quant.
        own: what plugins provide for its type.

    Raises:
        ModelError: its type has no integer form here, and no plugin gives one.
    """
    if own is not None and own.onnx_accumulate is not None:
        accumulators = own.onnx_accumulate(builder, node, builder.name(node.inputs[0]), offset)
        builder.add("Identity", [accumulators], builder.name(node.outputs[0]))
        return
    write = _LAYERS.get(node.op)
    if write is None:
        raise ModelError(
            f"layer type '{node.op}' has no integer form in ONNX.",
            layer=node.name,
            remedy="Export without this layer quantized; a plugin adds the form of a type as "
            "'onnx_accumulate' in the hook amct_layer_simulators.",
        )
    accumulators = write(builder, node, offset)
    if len(node.weights) > 1:
        bias = node.weights[1].reshape((1, -1) + (1,) * (_rank(builder, node) - 2))
        accumulators = builder.add("Add", [accumulators, builder.constant(bias, np.int32)])
    builder.add("Identity", [accumulators], builder.name(node.outputs[0]))


def dequant_layer(builder: GraphBuilder, node: Node, source: Node) -> None:
    """Write ``float32(shift(acc, N)) * deq_scale``, and for pooling the factor of its windows."""
    deq_scale, shift_n, _ = dequant.unpack(node.weights[0])
    acc = builder.name(node.inputs[0])
    along = (1, -1) + (1,) * (_rank(builder, source) - 2)
    if shift_n.any():
        # In float64 every step is exact, and Floor is the shift's rounding.
        power = 2.0 ** shift_n.astype(np.float64).reshape(along)
        wide = builder.add("Cast", [acc], to=TensorProto.DOUBLE)
        parts = builder.add("Mul", [wide, builder.constant(1 / power, np.float64)])
        limits = [builder.constant(limit, np.float64) for limit in (-32768, 32767)]
        kept = builder.add("Clip", [builder.add("Floor", [parts]), *limits])
        acc = builder.add("Mul", [kept, builder.constant(power, np.float64)])
    floats = builder.add("Cast", [acc], to=TensorProto.FLOAT)
    scale = builder.constant(deq_scale.reshape(along), np.float32)
    top = builder.name(node.outputs[0])
    if not isinstance(source.attributes, Pooling):
        builder.add("Mul", [floats, scale], top)
        return
    scaled = builder.add("Mul", [floats, scale])
    builder.add(
        "Mul", [scaled, builder.constant(_window_factors(builder, source), np.float32)], top
    )


def _rank(builder: GraphBuilder, node: Node) -> int:
    return len(builder.shape(node, node.outputs[0]))


def _zero(builder: GraphBuilder, offset: int) -> str:
    return builder.constant(offset + _SIGN, np.uint8)


def _weights(builder: GraphBuilder, weights: Any) -> Tuple[str, str]:
    """Return int8 weights as uint8 and their zero point."""
    stored = np.asarray(weights, np.int16) + _SIGN
    return builder.constant(stored, np.uint8), builder.constant(_SIGN, np.uint8)


def _convolution(builder: GraphBuilder, node: Node, offset: int) -> str:
    a = node.attributes
    assert isinstance(a, Convolution)
    weights, weight_zero = _weights(builder, node.weights[0])
    inputs = [builder.name(node.inputs[0]), weights, _zero(builder, offset), weight_zero]
    return builder.add(
        "ConvInteger",
        inputs,
        kernel_shape=list(a.kernel),
        strides=list(a.stride),
        pads=[*a.pad, *a.pad],
        dilations=list(a.dilation),
        group=a.group,
    )


def _inner_product(builder: GraphBuilder, node: Node, offset: int) -> str:
    flat = builder.add("Flatten", [builder.name(node.inputs[0])], axis=1)
    weights, weight_zero = _weights(builder, node.weights[0].T)
    return builder.add("MatMulInteger", [flat, weights, _zero(builder, offset), weight_zero])


def _deconvolution(builder: GraphBuilder, node: Node, offset: int) -> str:
    """ONNX has no integer form; float32 is exact while sums stay below 2**24."""
    a = node.attributes
    assert isinstance(a, Convolution)
    bound = int(exactness.partial_sum_bound(node.weights[0], offset, 1).max())
    if bound >= exactness.EXACT_LIMIT:
        raise ModelError(
            f"its sums can reach {bound}, and ONNX has no integer Deconvolution: float32 is exact "
            "below 2^24 only.",
            layer=node.name,
            remedy="Disable the layer in the config.",
        )
    floats = builder.add("Cast", [builder.name(node.inputs[0])], to=TensorProto.FLOAT)
    centered = builder.add("Sub", [floats, builder.constant(offset + _SIGN, np.float32)])
    sums = builder.add(
        "ConvTranspose",
        [centered, builder.constant(node.weights[0], np.float32)],
        kernel_shape=list(a.kernel),
        strides=list(a.stride),
        pads=[*a.pad, *a.pad],
        dilations=list(a.dilation),
        group=a.group,
    )
    return builder.add("Cast", [sums], to=TensorProto.INT32)


def _pooling(builder: GraphBuilder, node: Node, offset: int) -> str:
    """The sum of a window is a convolution of each channel with ones."""
    a = node.attributes
    assert isinstance(a, Pooling) and a.kernel is not None
    channels = builder.shape(node, node.inputs[0])[1]
    ones = np.ones((channels, 1, *a.kernel))
    weights, weight_zero = _weights(builder, ones)
    inputs = [builder.name(node.inputs[0]), weights, _zero(builder, offset), weight_zero]
    return builder.add(
        "ConvInteger",
        inputs,
        kernel_shape=list(a.kernel),
        strides=list(a.stride),
        pads=pooling_pads(builder, node, a),
        group=channels,
    )


def pooling_pads(builder: GraphBuilder, node: Node, a: Pooling) -> list[int]:
    """Return begins and ends, so that rounding down gives as many windows as Caffe has.

    Raises:
        ModelError: the last window would have to end before the input does.
    """
    assert a.kernel is not None
    sizes = builder.shape(node, node.inputs[0])[2:]
    outs = builder.shape(node, node.outputs[0])[2:]
    ends = [
        (out - 1) * stride + kernel - size - pad
        for out, stride, kernel, size, pad in zip(outs, a.stride, a.kernel, sizes, a.pad)
    ]
    if min(ends) < 0:
        raise ModelError(
            "its windows leave the end of the input out, which the export cannot express.",
            layer=node.name,
            remedy="Choose a stride of at most the kernel.",
        )
    return [*a.pad, *ends]


def _window_factors(builder: GraphBuilder, node: Node) -> Any:
    a = node.attributes
    assert isinstance(a, Pooling) and a.kernel is not None
    height, width = builder.shape(node, node.inputs[0])[2:]
    areas = pooling.window_areas(height, width, a.kernel, a.stride, a.pad, a.ceil_mode)
    return np.float32(a.kernel[0] * a.kernel[1]) / areas.astype(np.float32)


_LAYERS: Dict[str, Callable[[GraphBuilder, Node, int], str]] = {
    "Convolution": _convolution,
    "Deconvolution": _deconvolution,
    "InnerProduct": _inner_product,
    "Pooling": _pooling,
}
