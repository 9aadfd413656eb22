"""Reads the parameters of layers that compute value by value."""

from __future__ import annotations

from typing import Dict

from amct_caffe.model.attributes.reader import Reader
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.parameters import Parameters
from amct_core.graph import attributes as a


def _elu(layer: Layer) -> a.Attributes:
    return a.ELU(Parameters(layer, "elu_param").number("alpha"))


def _eltwise(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "eltwise_param")
    return a.Eltwise(parameters.enum("operation"), tuple(parameters.numbers("coeff")))


def _exp(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "exp_param")
    return a.Exp(parameters.number("base"), parameters.number("scale"), parameters.number("shift"))


def _log(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "log_param")
    return a.Log(parameters.number("base"), parameters.number("scale"), parameters.number("shift"))


def _power(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "power_param")
    return a.Power(
        parameters.number("power"), parameters.number("scale"), parameters.number("shift")
    )


def _relu(layer: Layer) -> a.Attributes:
    return a.ReLU(Parameters(layer, "relu_param").number("negative_slope"))


def _swish(layer: Layer) -> a.Attributes:
    return a.Swish(Parameters(layer, "swish_param").number("beta"))


def _threshold(layer: Layer) -> a.Attributes:
    return a.Threshold(Parameters(layer, "threshold_param").number("threshold"))


READERS: Dict[str, Reader] = {
    "ELU": _elu,
    "Eltwise": _eltwise,
    "Exp": _exp,
    "Log": _log,
    "Power": _power,
    "ReLU": _relu,
    "Swish": _swish,
    "Threshold": _threshold,
}
