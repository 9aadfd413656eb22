"""Reads the parameters of layers over windows, channels or whole images."""

from __future__ import annotations

from typing import Dict

from amct_caffe.model.attributes.reader import Reader
from amct_caffe.model.attributes.sizes import pair
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.parameters import Parameters
from amct_core.graph import attributes as a


def _accuracy(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "accuracy_param")
    return a.Accuracy(parameters.integer("top_k"), parameters.integer("axis"))


def _arg_max(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "argmax_param")
    return a.ArgMax(
        out_max_val=parameters.boolean("out_max_val"),
        top_k=parameters.integer("top_k"),
        # Without an axis Caffe looks at whole images, so "not said" is a value of its own.
        axis=parameters.message.integer("axis"),
    )


def _lrn(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "lrn_param")
    return a.LRN(
        local_size=parameters.integer("local_size"),
        alpha=parameters.number("alpha"),
        beta=parameters.number("beta"),
        k=parameters.number("k"),
        region=parameters.enum("norm_region"),
    )


def _mvn(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "mvn_param")
    return a.MVN(
        normalize_variance=parameters.boolean("normalize_variance"),
        across_channels=parameters.boolean("across_channels"),
        eps=parameters.number("eps"),
    )


def _pooling(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "pooling_param")
    is_global = parameters.boolean("global_pooling")
    return a.Pooling(
        method=parameters.enum("pool"),
        kernel=None if is_global else pair(parameters, "kernel_size", "kernel"),
        stride=pair(parameters, "stride", "stride"),
        pad=pair(parameters, "pad", "pad"),
        global_pooling=is_global,
        ceil_mode=_rounds_up(parameters),
    )


def _reduction(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "reduction_param")
    return a.Reduction(
        parameters.enum("operation"), parameters.integer("axis"), parameters.number("coeff")
    )


def _softmax(layer: Layer) -> a.Attributes:
    return a.Softmax(Parameters(layer, "softmax_param").integer("axis"))


def _softmax_with_loss(layer: Layer) -> a.Attributes:
    return a.SoftmaxWithLoss(Parameters(layer, "softmax_param").integer("axis"))


def _rounds_up(parameters: Parameters) -> bool:
    # BVLC has round_mode; Ascend's and some other Caffes have ceil_mode as well.
    if parameters.has("round_mode"):
        return parameters.enum("round_mode") == "CEIL"
    return bool(parameters.message.boolean("ceil_mode", True))


READERS: Dict[str, Reader] = {
    "Accuracy": _accuracy,
    "ArgMax": _arg_max,
    "LRN": _lrn,
    "MVN": _mvn,
    "Pooling": _pooling,
    "Reduction": _reduction,
    "Softmax": _softmax,
    "SoftmaxWithLoss": _softmax_with_loss,
}
