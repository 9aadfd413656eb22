"""Rules on what ATC's plugins and operators take as a convolution.

Sources: canndev ops/built-in/framework/caffe_plugin/caffe_conv2d_plugin.cc (Convolution and
DepthwiseConvolution) and caffe_deconv_plugin.cc; Conv2DVerify and DeconvolutionVerify of
ops/built-in/op_proto/nn_calculation_ops.cc.  ATC reports what a plugin refuses as E19999 (E11010 in
older releases) and names the layer.
"""

from __future__ import annotations

from typing import Iterator, Optional

from amct_caffe.model.formats.prototxt.layer import Layer
from ascend_backend.lint.layer_types import CONVOLUTION_TYPES
from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.quantized import quantized_groups
from ascend_backend.lint.rule import ERROR, Problem, Rule

_PARAMETERS = "convolution_param"
_PER_AXIS = ("kernel_size", "stride", "pad", "dilation")
_SPATIAL_AXES = 2
_FILTER_AXES = 4
_CHANNEL_AXES = (1, 1 - _FILTER_AXES)


def check_nd_im2col(model: DeployModel) -> Iterator[Problem]:
    """Find convolutions that ask for Caffe's computation over any number of axes."""
    # The plugin of Deconvolution does not read the field.
    for layer in model.of_type("Convolution", "DepthwiseConvolution"):
        if layer.parameters(_PARAMETERS).boolean("force_nd_im2col", False):
            yield Problem(
                "force_nd_im2col is true; expected false.",
                layer.name,
                f"{_PARAMETERS}.force_nd_im2col",
            )


def check_two_dimensional(model: DeployModel) -> Iterator[Problem]:
    """Find convolutions over another number of axes than height and width."""
    quantized = {group.layer.name for group in quantized_groups(model)}
    for layer in model.of_type(*CONVOLUTION_TYPES):
        # The filter of a quantized convolution has a rule of its own, A066.
        filter_axes = _filter_axes(model, layer)
        if layer.name in quantized and filter_axes not in (None, _FILTER_AXES):
            continue
        parameters = layer.parameters(_PARAMETERS)
        axis = parameters.integer("axis", 1)
        many = [field for field in _PER_AXIS if len(parameters.integers(field)) > _SPATIAL_AXES]
        if axis not in _CHANNEL_AXES:
            yield Problem(
                f"its axis is {axis}; expected 1, behind which height and width follow.",
                layer.name,
                f"{_PARAMETERS}.axis",
            )
        elif many:
            yield Problem(
                f"it has {len(parameters.integers(many[0]))} {many[0]}; expected one, or one each "
                "for height and width.",
                layer.name,
                f"{_PARAMETERS}.{many[0]}",
            )
        elif filter_axes not in (None, _FILTER_AXES):
            yield Problem(
                f"its filter has {filter_axes} dimensions; expected {_FILTER_AXES}.",
                layer.name,
                "blobs[0]",
            )


def _filter_axes(model: DeployModel, layer: Layer) -> Optional[int]:
    blobs = model.blobs(layer)
    return len(blobs[0].shape) if blobs else None


def check_one_bottom(model: DeployModel) -> Iterator[Problem]:
    """Find convolutions of several blobs."""
    for layer in model.of_type(*CONVOLUTION_TYPES):
        bottoms, tops = len(layer.bottoms), len(layer.tops)
        if bottoms != 1 or tops > 1:
            yield Problem(
                f"it has {bottoms} bottoms and {tops} tops; expected one of each.",
                layer.name,
                "bottom" if bottoms != 1 else "top",
            )


RULES = (
    Rule(
        "A017",
        ERROR,
        "ATC refuses force_nd_im2col",
        "Take force_nd_im2col out: over height and width the layer computes the same without it.",
        check_nd_im2col,
    ),
    Rule(
        "A018",
        ERROR,
        "A convolution does not work over height and width",
        "Compute the layer outside the model, or rewrite it as a convolution over two axes.",
        check_two_dimensional,
    ),
    Rule(
        "A019",
        ERROR,
        "A convolution has several bottoms or tops",
        "Write one layer for each bottom and top, each with the same weights in the weights file.",
        check_one_bottom,
    ),
)
