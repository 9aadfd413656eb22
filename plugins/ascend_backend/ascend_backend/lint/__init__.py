"""Finds every reason for which ATC refuses a Caffe model, or silently changes it."""

from __future__ import annotations

import logging
from typing import Collection, Optional, Tuple

from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.plugin_rules import PluginFindings, find_by_plugins
from ascend_backend.lint.reading import read_model
from ascend_backend.lint.rule import ERROR, WARNING, Finding, Problem, Rule
from ascend_backend.lint.rules import RULES, find
from ascend_backend.lint.type_names import with_type_names
from ascend_backend.op_name_map import OpNameMap
from ascend_backend.targets import Target

_log = logging.getLogger("ascend_backend.lint")


def lint(
    model_file: str,
    weights_file: str,
    target: Optional[Target] = None,
    op_names: Optional[OpNameMap] = None,
    custom_ops: Collection[str] = (),
) -> Tuple[Finding, ...]:
    """Return what is wrong with a model, in the order of the rules, those of plugins last.

    Args:
        model_file: the prototxt, written by this project or not.
        weights_file: the caffemodel.
        target: the processor it is meant for; None: rules on processors are left out.
        op_names: what ATC is given as ``--op_name_map``, if it is.
        custom_ops: layer types for which custom operators are installed.

    Raises:
        AmctError: a file cannot be read at all, or ATC would refuse ``op_names`` for the model.
    """
    model = read_model(model_file, weights_file, target)
    named = model if op_names is None else with_type_names(model, op_names)
    by_plugins = find_by_plugins(model)
    if by_plugins.not_checked is not None:
        _log.warning("the rules of plugins could not be checked: %s", by_plugins.not_checked)
    return (*find(named, custom_ops), *by_plugins.findings)


__all__ = [
    "ERROR",
    "RULES",
    "WARNING",
    "DeployModel",
    "Finding",
    "PluginFindings",
    "Problem",
    "Rule",
    "find",
    "find_by_plugins",
    "lint",
    "read_model",
    "with_type_names",
]
