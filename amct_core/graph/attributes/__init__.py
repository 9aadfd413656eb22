"""Typed parameters of the layer types that core reasons about.

A frontend translates its own notation into these classes, with the framework's defaults filled in
and its short forms resolved (one ``kernel_size`` for both sides becomes a pair).  A layer type that
is not listed here carries :class:`Opaque` and passes through every step that need not look inside.
"""

from __future__ import annotations

from amct_core.graph.attributes.base import Attributes, Opaque, Pair
from amct_core.graph.attributes.boundary import Data, DeQuant, Float16, Input, Quant
from amct_core.graph.attributes.layout import Concat, Crop, Flatten, Permute, Reshape, Slice, Tile
from amct_core.graph.attributes.pointwise import (
    ELU,
    Eltwise,
    Exp,
    Log,
    Power,
    ReLU,
    Swish,
    Threshold,
)
from amct_core.graph.attributes.regions import (
    LRN,
    MVN,
    Accuracy,
    ArgMax,
    Pooling,
    Reduction,
    Softmax,
    SoftmaxWithLoss,
)
from amct_core.graph.attributes.weighted import (
    BatchNorm,
    Bias,
    Convolution,
    InnerProduct,
    PReLU,
    Scale,
)

__all__ = [
    "Accuracy",
    "ArgMax",
    "Attributes",
    "BatchNorm",
    "Bias",
    "Concat",
    "Convolution",
    "Crop",
    "Data",
    "DeQuant",
    "ELU",
    "Eltwise",
    "Exp",
    "Flatten",
    "Float16",
    "InnerProduct",
    "Input",
    "LRN",
    "Log",
    "MVN",
    "Opaque",
    "PReLU",
    "Pair",
    "Permute",
    "Pooling",
    "Power",
    "Quant",
    "ReLU",
    "Reduction",
    "Reshape",
    "Scale",
    "Slice",
    "Softmax",
    "SoftmaxWithLoss",
    "Swish",
    "Threshold",
    "Tile",
]
