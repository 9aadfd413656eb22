"""Trainings that run to their end and learn nothing: warned of, because some are meant so.

A learning rate of 0 finds clip bounds and N from data and leaves the weights alone.
"""

from __future__ import annotations

from typing import Iterator

from amct_caffe.checks.training_setup import TrainingSetup
from amct_caffe.model.layer_type import loss_weights, role_of
from amct_core.extensions import Role

_FALLING = ("step", "exp", "multistep")
"""Policies that multiply the learning rate by gamma, which is 0 where it is not given."""


def what_trains_nothing(setup: TrainingSetup) -> Iterator[str]:
    """Yield each reason why less is learned than one might think."""
    message = setup.solver.message
    policy = message.string("lr_policy") or ""
    if not message.number("base_lr"):
        yield "base_lr is not set, or 0: the weights stay as they are"
    elif policy in _FALLING and not message.number("gamma"):
        yield (
            f'lr_policy is "{policy}" and gamma is not set: the learning rate becomes 0 at the '
            "first step"
        )
    layers = setup.document.layers_in("TRAIN")
    if not any(any(loss_weights(layer)) for layer in layers):
        yield "the network has no loss in the phase TRAIN: nothing is learned"
    if setup.is_fed_by_hand:
        return
    for layer in layers:
        if role_of(layer) is Role.INPUT:
            yield f"layer '{layer.name}' is an Input, which nobody feeds: its data are zeros"
