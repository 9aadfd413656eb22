"""A rule on how the size of a Pooling is rounded.

Source: canndev ops/built-in/framework/caffe_plugin/pooling_plugin.cc.
"""

from __future__ import annotations

from typing import Iterator

from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.rule import ERROR, Problem, Rule


def check_rounding_of_pooling(model: DeployModel) -> Iterator[Problem]:
    """Find Poolings that round down in words that ATC does not read."""
    for layer in model.of_type("Pooling"):
        parameters = layer.parameters("pooling_param")
        if parameters.boolean("ceil_mode", True) or parameters.has("round_mode"):
            continue
        if not parameters.boolean("global_pooling", False):
            yield Problem(
                "ceil_mode is false, which ATC does not read, and there is no round_mode.",
                layer.name,
                "pooling_param.ceil_mode",
            )


RULES = (
    Rule(
        "A088",
        ERROR,
        "ATC rounds the size of a Pooling up",
        "Write round_mode: FLOOR, in place of ceil_mode or beside it.",
        check_rounding_of_pooling,
    ),
)
