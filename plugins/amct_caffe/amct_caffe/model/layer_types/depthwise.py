"""DepthwiseConvolution and ConvolutionDepthwise: a Convolution whose groups have one channel.

A Convolution with ``group`` computes the same with the same blobs.  Saved models hold that in their
place: every Caffe has it, and ATC, which refuses ConvolutionDepthwise, takes it.

* DepthwiseConvolution reads ``group`` as a Convolution does; where the file does not give it there
  are as many groups as outputs.
* ConvolutionDepthwise does not read it, and has one output for each channel.

Sources: yonghenglh6/DepthwiseConvolution, depthwise_conv_layer.cpp; liuhao-93/ConvolutionDepthwise
and its copies, conv_dw_layer.cpp; canndev, caffe_conv2d_plugin.cc.
"""

from __future__ import annotations

from typing import List

import attrs

from amct_caffe.model.expected_blob import ExpectedBlob
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.layer_types import convolution
from amct_caffe.model.parameters import Parameters
from amct_core.extensions import LayerType
from amct_core.graph.attributes import Convolution
from amct_core.textproto import Message

_PARAMETERS = "convolution_param"


def _read(layer: Layer) -> Convolution:
    a = convolution.read(layer)
    return a if Parameters(layer, _PARAMETERS).has("group") else _one_each(layer)


def _one_each(layer: Layer) -> Convolution:
    a = convolution.read(layer)
    return attrs.evolve(a, group=a.num_output)


def _blobs(layer: Layer) -> List[ExpectedBlob]:
    """Return what the blobs look like where there is one channel for each output."""
    weights, *bias = convolution.blobs(layer)
    assert weights.dims is not None
    return [attrs.evolve(weights, dims=(weights.dims[0], 1, *weights.dims[2:])), *bias]


def _with_groups(layer: Layer, group: int) -> Layer:
    plain = layer.copy()
    plain.message.set("type", "Convolution")
    parameters = plain.message.message(_PARAMETERS)
    assert isinstance(parameters, Message)
    parameters.set("group", group)
    return plain


def _like_convolution(own: LayerType) -> LayerType:
    """Return ``own`` with what is declared of Convolution, except how it is read."""
    rest = attrs.evolve(convolution.CONVOLUTION, name=own.name, attributes=None, blobs=None)
    whole = own.joined(rest)
    assert isinstance(whole, LayerType)
    return whole


LAYER_TYPES = (
    _like_convolution(
        LayerType(
            "ConvolutionDepthwise",
            attributes=_one_each,
            blobs=_blobs,
            plain_layer=lambda layer: _with_groups(layer, _one_each(layer).group),
        )
    ),
    _like_convolution(
        LayerType(
            "DepthwiseConvolution",
            attributes=_read,
            blobs=convolution.blobs,
            plain_layer=lambda layer: _with_groups(layer, _read(layer).group),
        )
    ),
)
