"""Layers in standard operators: those around quantized layers here, others as their types say.

8-bit values are uint8 ``q + 128``, because that is what onnxruntime's integer operators take;
accumulators are int32.
"""

from __future__ import annotations

from typing import Any, List

import numpy as np
from onnx import TensorProto

from amct_core.contracts.usage import Usage
from amct_core.errors import ModelError
from amct_core.extensions import LayerType
from amct_core.graph import Node
from amct_core.graph.attributes import DeQuant, Pooling, Quant
from amct_core.graph.deployed_layers import DeployedLayer
from amct_core.numerics import pooling
from amct_core.plugins import registries
from cpu_sim_backend.onnx_export.builder import GraphBuilder

_SIGN = 128


def check_exact(node: Node) -> None:
    """Check that a node computes as the model says, and not as some processor does.

    Raises:
        ModelError: it computes in float16, or is merged with another layer.
    """
    a = node.attributes
    exact = not node.float16
    if isinstance(a, Quant):
        exact = not a.float16 and a.added is None
    elif isinstance(a, DeQuant):
        exact = a == DeQuant()
    if not exact:
        raise ModelError(
            "it computes as a processor does; the ONNX model holds exact integers only.",
            layer=node.name,
            remedy="Export the simulator of the model without a soc version.",
        )


def float_layer(builder: GraphBuilder, node: Node) -> None:
    """Write one float layer.

    Raises:
        ModelError: its type has no form in ONNX.
    """
    if node.type.onnx is None:
        raise ModelError(
            f"layer type '{node.op}' has no form in ONNX here; known: {_known('onnx')}.",
            layer=node.name,
            remedy="Simulate the model instead, which knows more types; a plugin adds the form of "
            "one as 'onnx' in the hook amct_layer_types.",
        )
    inputs, outputs = (list(map(builder.name, v)) for v in (node.inputs, node.outputs))
    with Usage(node.type, node.name).running("onnx", tells_itself=True):
        node.type.onnx(builder, node, inputs, outputs)


def integer_layer(builder: GraphBuilder, layer: DeployedLayer) -> None:
    """Write one quantized layer: int32 accumulators, bias included.

    Raises:
        ModelError: its type has no integer form in ONNX.
    """
    node = layer.node
    if node.type.onnx_accumulate is None:
        raise ModelError(
            f"layer type '{node.op}' has no integer form in ONNX; known: "
            f"{_known('onnx_accumulate')}.",
            layer=node.name,
            remedy="Export without this layer quantized; a plugin adds the form of a type as "
            "'onnx_accumulate' in the hook amct_layer_types.",
        )
    q = builder.name(layer.quantized)
    with Usage(node.type, node.name).running("onnx_accumulate", tells_itself=True):
        accumulators = node.type.onnx_accumulate(builder, node, q, layer.offset)
    builder.add("Identity", [accumulators], builder.name(layer.accumulator))


def _known(part: str) -> str:
    types: List[LayerType] = list(registries().layer_types)
    return ", ".join(each.name for each in types if getattr(each, part) is not None)


def quant(builder: GraphBuilder, node: Node) -> None:
    """Write ``clamp(rint(x * scale + offset), -128, 127) + 128`` as uint8; Round is to even."""
    a = node.typed(Quant)
    x = builder.name(node.inputs[0])
    scaled = builder.add("Mul", [x, builder.constant(a.scale, np.float32)])
    moved = builder.add("Add", [scaled, builder.constant(a.offset, np.float32)])
    limits = [builder.constant(limit, np.float32) for limit in (-128, 127)]
    rounded = builder.add("Clip", [builder.add("Round", [moved]), *limits])
    stored = builder.add("Add", [rounded, builder.constant(_SIGN, np.float32)])
    builder.add("Cast", [stored], builder.name(node.outputs[0]), to=TensorProto.UINT8)


def dequant_layer(builder: GraphBuilder, layer: DeployedLayer) -> None:
    """Write ``float32(shift(acc, N)) * deq_scale``, and for pooling the factor of its windows."""
    acc = builder.name(layer.accumulator)
    along = (1, -1) + (1,) * (len(builder.shape(layer.node, layer.accumulator)) - 2)
    if layer.shift_n.any():
        # In float64 every step is exact, and Floor is the shift's rounding.
        power = 2.0 ** layer.shift_n.astype(np.float64).reshape(along)
        wide = builder.add("Cast", [acc], to=TensorProto.DOUBLE)
        parts = builder.add("Mul", [wide, builder.constant(1 / power, np.float64)])
        limits = [builder.constant(limit, np.float64) for limit in (-32768, 32767)]
        kept = builder.add("Clip", [builder.add("Floor", [parts]), *limits])
        acc = builder.add("Mul", [kept, builder.constant(power, np.float64)])
    floats = builder.add("Cast", [acc], to=TensorProto.FLOAT)
    scale = builder.constant(layer.deq_scale.reshape(along), np.float32)
    top = builder.name(layer.dequant.outputs[0])
    if not isinstance(layer.node.attributes, Pooling):
        builder.add("Mul", [floats, scale], top)
        return
    scaled = builder.add("Mul", [floats, scale])
    factors = builder.constant(_window_factors(builder, layer.node), np.float32)
    builder.add("Mul", [scaled, factors], top)


def _window_factors(builder: GraphBuilder, node: Node) -> Any:
    a = node.typed(Pooling)
    assert a.kernel is not None
    height, width = builder.shape(node, node.inputs[0])[2:]
    areas = pooling.window_areas(height, width, a.kernel, a.stride, a.pad, a.ceil_mode)
    return np.float32(a.kernel[0] * a.kernel[1]) / areas.astype(np.float32)
