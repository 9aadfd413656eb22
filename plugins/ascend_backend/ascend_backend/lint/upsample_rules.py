"""A rule on Upsample, whose parameters mean different things in ATC and in Darknet's Caffes.

Source: canndev ops/built-in/framework/caffe_plugin, upsample_plugin.cc.
"""

from __future__ import annotations

from typing import Iterator

from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.rule import ERROR, Problem, Rule

_STRIDES = ("stride", "stride_h", "stride_w")


def check_size_of_upsample(model: DeployModel) -> Iterator[Problem]:
    """Find Upsamples that tell their size by ``scale``, as those of Darknet's models do."""
    for layer in model.of_type("Upsample"):
        parameters = layer.parameters("upsample_param")
        scale = parameters.number("scale")
        if scale is not None and not any(parameters.has(name) for name in _STRIDES):
            yield Problem(
                f"its scale is {scale:g} and it has no stride; ATC makes it twice as large and "
                f"multiplies its values by {scale:g}.",
                layer.name,
                "upsample_param.scale",
            )


RULES = (
    Rule(
        "A087",
        ERROR,
        "ATC takes the size of an Upsample for a factor of its values",
        "Write the size as upsample_param { stride: ... }.",
        check_size_of_upsample,
    ),
)
