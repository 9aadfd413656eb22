"""Rules on parameters of float layers that ATC refuses or loses.

Sources: canndev ops/built-in/framework/caffe_plugin, op_proto and tbe/impl (2022), named on the
page of each rule.
"""

from __future__ import annotations

from typing import Dict, Iterator, Tuple

from amct_caffe.model.formats.prototxt.layer import Layer
from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.rule import ERROR, Problem, Rule

_POOL_METHODS: Dict[str, str] = {"0": "MAX", "1": "AVE", "2": "STOCHASTIC"}
_WITHIN_CHANNEL = ("WITHIN_CHANNEL", "1")
_SLOPE = "relu_param.negative_slope"


def check_one_top_of_pooling(model: DeployModel) -> Iterator[Problem]:
    """Find Poolings with a mask."""
    for layer in model.of_type("Pooling"):
        if len(layer.tops) > 1:
            mask = model.wiring.tops[id(layer)][1]
            read = "read" if model.wiring.readers.get(mask) else "not read, and so an output"
            yield Problem(
                f"its second top '{mask}' is {read}; ATC's operator has one output.",
                layer.name,
                "top",
            )


def check_reshape(model: DeployModel) -> Iterator[Problem]:
    """Find Reshapes that do not tell a shape."""
    for layer in model.of_type("Reshape"):
        if layer.parameters("reshape_param").message("shape") is None:
            yield Problem(
                "reshape_param has no shape; expected one.", layer.name, "reshape_param.shape"
            )


def check_pooling_method(model: DeployModel) -> Iterator[Problem]:
    """Find Poolings that are neither MAX nor AVE."""
    for layer in model.of_type("Pooling"):
        method = layer.parameters("pooling_param").enum("pool", "MAX") or "MAX"
        method = _POOL_METHODS.get(method, method)
        if method not in ("MAX", "AVE"):
            yield Problem(
                f"its method is {method}; expected MAX or AVE.", layer.name, "pooling_param.pool"
            )


def check_normalization_region(model: DeployModel) -> Iterator[Problem]:
    """Find LRNs within a channel."""
    for layer in model.of_type("LRN"):
        if layer.parameters("lrn_param").enum("norm_region") in _WITHIN_CHANNEL:
            yield Problem(
                "norm_region is WITHIN_CHANNEL; expected ACROSS_CHANNELS.",
                layer.name,
                "lrn_param.norm_region",
            )


def check_slopes(model: DeployModel) -> Iterator[Problem]:
    """Find ReLUs whose slope ATC does not read."""
    for layer in model.of_type("RReLU", "LeakyReLU", "ReLU6"):
        slope = layer.parameters("relu_param").number("negative_slope")
        if layer.type == "ReLU6":
            if slope:
                yield Problem(
                    f"its negative_slope is {slope:g}; ATC's operator has none and takes 0.",
                    layer.name,
                    _SLOPE,
                )
        elif slope is None:
            own = "".join(f" It does not read {field}." for field in _other_parameters(layer))
            yield Problem(
                f"it has no relu_param.negative_slope, so that ATC takes 0: a plain ReLU.{own}",
                layer.name,
                _SLOPE,
            )


def _other_parameters(layer: Layer) -> Tuple[str, ...]:
    names = dict.fromkeys(field.name for field in layer.message)
    return tuple(name for name in names if name.endswith("_param") and name != "relu_param")


RULES = (
    Rule(
        "A072",
        ERROR,
        "A Pooling has a second top",
        "Take the second top out, and compute what reads it outside the model.",
        check_one_top_of_pooling,
    ),
    Rule(
        "A073",
        ERROR,
        "A Reshape has no shape",
        "Write the shape, or take the layer out: reshape_param { shape { dim: ... } }.",
        check_reshape,
    ),
    Rule(
        "A074",
        ERROR,
        "A Pooling is neither MAX nor AVE",
        "Pool with MAX or AVE, or compute the layer outside the model.",
        check_pooling_method,
    ),
    Rule(
        "A075",
        ERROR,
        "LRN normalizes within a channel",
        "Normalize across channels, or compute the layer outside the model.",
        check_normalization_region,
    ),
    Rule(
        "A076",
        ERROR,
        "ATC loses the slope of a ReLU",
        "Write relu_param { negative_slope: ... }, with the slope of the TEST phase; for ReLU6, 0.",
        check_slopes,
    ),
)
