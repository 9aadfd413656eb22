"""Reads the parameters of layers with weights."""

from __future__ import annotations

from typing import Dict, Optional

from amct_caffe.model.attributes.reader import Reader
from amct_caffe.model.attributes.sizes import per_axis
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.parameters import Parameters
from amct_core.graph import attributes as a

_DEFAULT_SPATIAL_AXES = 2


def convolution(layer: Layer, spatial_axes: Optional[int]) -> a.Attributes:
    """Return the attributes of a Convolution or Deconvolution over that many axes, if known."""
    parameters = Parameters(layer, "convolution_param")
    sizes = len(parameters.integers("kernel_size"))
    axes = spatial_axes or (sizes if sizes > 1 else _DEFAULT_SPATIAL_AXES)
    return a.Convolution(
        num_output=parameters.integer("num_output"),
        kernel=per_axis(parameters, "kernel_size", "kernel", axes, None),
        stride=per_axis(parameters, "stride", "stride", axes, 1),
        pad=per_axis(parameters, "pad", "pad", axes, 0),
        dilation=per_axis(parameters, "dilation", None, axes, 1),
        group=parameters.integer("group"),
        bias_term=parameters.boolean("bias_term"),
        axis=parameters.integer("axis"),
    )


def _batch_norm(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "batch_norm_param")
    # Caffe's default depends on the phase, so "not said" is a value of its own.
    use_global_stats = parameters.message.boolean("use_global_stats")
    return a.BatchNorm(parameters.number("eps"), use_global_stats)


def _bias(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "bias_param")
    return a.Bias(parameters.integer("axis"), parameters.integer("num_axes"))


def _inner_product(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "inner_product_param")
    return a.InnerProduct(
        num_output=parameters.integer("num_output"),
        bias_term=parameters.boolean("bias_term"),
        axis=parameters.integer("axis"),
        transpose=parameters.boolean("transpose"),
    )


def _prelu(layer: Layer) -> a.Attributes:
    return a.PReLU(Parameters(layer, "prelu_param").boolean("channel_shared"))


def _scale(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "scale_param")
    return a.Scale(
        axis=parameters.integer("axis"),
        num_axes=parameters.integer("num_axes"),
        bias_term=parameters.boolean("bias_term"),
    )


READERS: Dict[str, Reader] = {
    "BatchNorm": _batch_norm,
    "Bias": _bias,
    "InnerProduct": _inner_product,
    "PReLU": _prelu,
    "Scale": _scale,
}
