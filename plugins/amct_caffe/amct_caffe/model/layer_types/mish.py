"""Mish: a smooth activation of YOLO v4's Caffe models, ``x * tanh(log(1 + exp(x)))``.

Computed in float64 and rounded once.  ONNX has the operator from opset 18 on; the form here needs
opset 13 only.

Source: D. Misra, "Mish: A Self Regularized Non-Monotonic Activation Function" (2019), equation 1.
"""

from __future__ import annotations

from typing import List, Sequence

import numpy as np

from amct_caffe.model.layer_types.axes import Array
from amct_core.extensions import LayerType, OnnxWriter, same_shape
from amct_core.graph import Node


def mish(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return ``x * tanh(log(1 + exp(x)))``, which is below 0 between -inf and 0."""
    x = inputs[0].astype(np.float64)
    return [(x * np.tanh(np.logaddexp(0, x))).astype(np.float32)]


def _onnx(writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    gate = writer.add("Tanh", [writer.add("Softplus", inputs)])
    writer.add("Mul", [inputs[0], gate], outputs[0])


LAYER_TYPES = (LayerType("Mish", shape=same_shape, run=mish, exact=False, onnx=_onnx),)
