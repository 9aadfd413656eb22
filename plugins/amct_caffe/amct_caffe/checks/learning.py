"""How the solver moves the weights: learning rates and other numbers.

Source: ``GetLearningRate`` and ``Regularize`` of BVLC Caffe's sgd_solver.cpp; ``Init`` and ``Step``
of its solver.cpp.  What each setting does was tried in Caffe.
"""

from __future__ import annotations

import math
from typing import Iterator

from amct_caffe.checks.check import Violation
from amct_caffe.checks.training_setup import TrainingSetup

POLICIES = ("fixed", "step", "exp", "inv", "multistep", "poly", "sigmoid")
"""The learning rate policies of BVLC Caffe."""

_IN_STEPS = ("step", "sigmoid")
_REGULARIZATIONS = ("L1", "L2")


def unknown_learning_rates(setup: TrainingSetup) -> Iterator[Violation]:
    """Yield a policy that Caffe does not know, or that lacks a field without which it aborts."""
    message = setup.solver.message
    policy = message.string("lr_policy") or ""
    if policy not in POLICIES:
        if policy and setup.caffe_runs_solver:
            return
        yield Violation(
            "lr_policy",
            (f"it is {policy!r}" if policy else "it is not set")
            + f"; expected one of {', '.join(POLICIES)}: Caffe ends the process on another.",
            'Set for example lr_policy: "fixed".',
        )
    elif policy in _IN_STEPS and (message.integer("stepsize") or 0) <= 0:
        yield Violation(
            "stepsize",
            f'it is {message.integer("stepsize") or "not set"}, but lr_policy: "{policy}" needs a '
            "stepsize above 0.",
            "Set stepsize, such as a third of max_iter.",
        )


def unusable_numbers(setup: TrainingSetup) -> Iterator[Violation]:
    """Yield numbers that make the weights NaN, train nothing, or end the process."""
    message = setup.solver.message
    for field in ("base_lr", "momentum", "weight_decay"):
        value = message.number(field)
        if value is not None and not math.isfinite(value):
            yield Violation(field, f"it is {value}; expected a number.", f"Set {field}.")
    for field, effect in (
        ("iter_size", "no iteration would have a forward pass"),
        ("average_loss", "Caffe ends the process"),
    ):
        count = message.integer(field)
        if count is not None and count < 1:
            yield Violation(
                field, f"it is {count}; expected at least 1: {effect}.", f"Leave {field} out."
            )
    kind = message.string("regularization_type", "L2")
    if kind not in _REGULARIZATIONS:
        yield Violation(
            "regularization_type",
            f"it is {kind!r}; expected one of {', '.join(_REGULARIZATIONS)}.",
            "Leave it out for L2.",
        )
