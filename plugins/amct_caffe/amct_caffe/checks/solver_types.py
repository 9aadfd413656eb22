"""What kind of solver runs.

Source: BVLC Caffe's solver_factory.hpp, and ``constructor_sanity_check`` of its sgd_solvers.hpp.
"""

from __future__ import annotations

from typing import Iterator

from amct_caffe.checks.check import Violation
from amct_caffe.checks.training_setup import TrainingSetup

TYPES = ("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam")
"""The types of BVLC Caffe."""

_WITHOUT_MOMENTUM = ("AdaGrad", "RMSProp")


def unknown_solver_types(setup: TrainingSetup) -> Iterator[Violation]:
    """Yield a type that Caffe would end the process on."""
    kind = setup.solver.type
    if kind not in TYPES and not setup.caffe_runs_solver:
        yield Violation(
            "type",
            f"it is {kind!r}; expected one of {', '.join(TYPES)}.",
            'Set for example type: "SGD", as Caffe spells it.',
        )


def wrong_momentum(setup: TrainingSetup) -> Iterator[Violation]:
    """Yield settings that the type refuses."""
    kind, message = setup.solver.type, setup.solver.message
    momentum = message.number("momentum") or 0.0
    if kind in _WITHOUT_MOMENTUM and momentum:
        yield Violation(
            "momentum",
            f'it is {momentum:g}, but type: "{kind}" has no momentum: Caffe ends the process.',
            "Leave momentum out.",
        )
    decay = message.number("rms_decay")
    if kind == "RMSProp" and decay is not None and not 0 <= decay < 1:
        yield Violation(
            "rms_decay",
            f"it is {decay:g}; expected a number from 0 to below 1.",
            "Set for example rms_decay: 0.98.",
        )
