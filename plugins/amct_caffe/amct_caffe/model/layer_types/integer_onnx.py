"""Integers in ONNX, as every quantized layer type writes them.

8-bit values are uint8 ``q + 128``, because that is what onnxruntime's integer operators take;
accumulators are int32.
"""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from amct_caffe.model.layer_types.axes import on_channels
from amct_core.extensions import OnnxWriter
from amct_core.graph import Node

SIGN = 128
FLOAT, INT32 = 1, 6
"""Numbers of element types: ``TensorProto.DataType`` of onnx.proto."""


def zero(writer: OnnxWriter, offset: int) -> str:
    """Return the zero point of a layer's input."""
    return writer.constant(offset + SIGN, np.uint8)


def as_uint8(writer: OnnxWriter, weights: Any) -> Tuple[str, str]:
    """Return int8 weights as uint8 and their zero point."""
    stored = np.asarray(weights, np.int16) + SIGN
    return writer.constant(stored, np.uint8), writer.constant(SIGN, np.uint8)


def add_bias(writer: OnnxWriter, node: Node, accumulators: str) -> str:
    """Return ``accumulators`` with the int32 bias of ``node``, if it has one."""
    if len(node.weights) < 2:
        return accumulators
    bias = on_channels(node.weights[1], len(writer.shape(node, node.outputs[0])))
    return writer.add("Add", [accumulators, writer.constant(bias, np.int32)])
