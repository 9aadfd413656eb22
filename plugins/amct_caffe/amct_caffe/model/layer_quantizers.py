"""Which Caffe layers can be quantized: the restrictions of AMCT's documentation.

The English page says "4 x 4 filter" for Convolution and Deconvolution; the Chinese original of the
same table says that the filter has four *dimensions*, which is what is checked here.
"""

from __future__ import annotations

from typing import Optional, Tuple

from amct_core.errors import ModelError
from amct_core.extensions import LayerQuantizer, WeightLayout
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import Convolution, InnerProduct, Pooling
from amct_core.graph.shapes import known_shapes
from amct_core.numerics import pooling


def _convolution_attributes(node: Node) -> Convolution:
    assert isinstance(node.attributes, Convolution)
    return node.attributes


def _check_filter(node: Node) -> Optional[str]:
    attributes = _convolution_attributes(node)
    if len(attributes.kernel) != 2 or attributes.axis != 1:
        return (
            f"its filter has {len(attributes.kernel) + 2} dimensions (axis {attributes.axis}); "
            "expected 4 (axis 1)."
        )
    if len(node.bottoms) != 1 or len(node.tops) != 1:
        return f"it has {len(node.bottoms)} bottoms and {len(node.tops)} tops; expected one each."
    return None


def check_convolution(node: Node, graph: Graph) -> Optional[str]:
    """Return why a Convolution does not qualify: its filter must be 4-D."""
    return _check_filter(node)


def check_deconvolution(node: Node, graph: Graph) -> Optional[str]:
    """Return why a Deconvolution does not qualify: 4-D filter, dilation 1, group 1."""
    reason = _check_filter(node)
    if reason is not None:
        return reason
    attributes = _convolution_attributes(node)
    if any(d != 1 for d in attributes.dilation):
        return f"its dilation is {attributes.dilation}; expected 1."
    if attributes.group != 1:
        return f"its group is {attributes.group}; expected 1."
    return None


def check_inner_product(node: Node, graph: Graph) -> Optional[str]:
    """Return why an InnerProduct does not qualify: transpose must be false and axis 1."""
    attributes = node.attributes
    assert isinstance(attributes, InnerProduct)
    if attributes.transpose:
        return "transpose is true; expected false."
    if attributes.axis != 1:
        return f"axis is {attributes.axis}; expected 1."
    return None


def check_pooling(node: Node, graph: Graph) -> Optional[str]:
    """Return why a Pooling does not qualify: AVE, and not over the whole input.

    A window that covers the whole unpadded input counts as global pooling, as in AMCT and ATC.
    With a stride above the kernel, rounding the output size up can leave a last window without any
    input, and Caffe's average of it is NaN.
    """
    a = node.attributes
    assert isinstance(a, Pooling)
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
        pooling.window_areas(height, width, a.kernel, a.stride, a.pad, a.ceil_mode)
    except ModelError as error:
        return error.problem
    return None


def convolution_layout(node: Node) -> WeightLayout:
    """Return (num_output, channels / group, height, width) with output channels first."""
    return WeightLayout(tuple(node.weights[0].shape), 0)


def deconvolution_layout(node: Node) -> WeightLayout:
    """Return (channels, num_output, height, width) with output channels second."""
    return WeightLayout(tuple(node.weights[0].shape), 1)


def inner_product_layout(node: Node) -> WeightLayout:
    """Return (num_output, K)."""
    return WeightLayout(tuple(node.weights[0].shape), 0)


def pooling_divisor(node: Node) -> int:
    """Return the area of the full window."""
    assert isinstance(node.attributes, Pooling) and node.attributes.kernel is not None
    height, width = node.attributes.kernel
    return height * width


QUANTIZERS: Tuple[LayerQuantizer, ...] = (
    LayerQuantizer(
        layer_type="Convolution",
        check=check_convolution,
        weight_layout=convolution_layout,
        default_channel_wise=True,
        channel_wise_allowed=True,
    ),
    LayerQuantizer(
        layer_type="Deconvolution",
        check=check_deconvolution,
        weight_layout=deconvolution_layout,
        default_channel_wise=True,
        channel_wise_allowed=True,
    ),
    LayerQuantizer(
        layer_type="InnerProduct",
        check=check_inner_product,
        weight_layout=inner_product_layout,
    ),
    LayerQuantizer(
        layer_type="Pooling",
        check=check_pooling,
        searches_shift=False,
        divisor=pooling_divisor,
    ),
)
"""Convolution, Deconvolution, InnerProduct and AVE Pooling."""
