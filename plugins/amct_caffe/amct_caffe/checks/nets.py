"""Nets that Caffe cannot build, for a reason that no other check knows."""

from __future__ import annotations

import sys
from typing import Iterator

from amct_caffe.checks.check import Violation
from amct_caffe.checks.training_setup import TrainingSetup


def unbuildable_nets(setup: TrainingSetup) -> Iterator[Violation]:
    """Yield with which sentence Caffe ends the process when it builds the solver's nets."""
    rehearsal = setup.rehearsal
    if rehearsal is None or setup.machine.no_caffe is not None or _has_classes_of_its_own(setup):
        return
    problem = setup.machine.problem_of_building(rehearsal)
    if problem is not None:
        yield Violation(
            "nets",
            f"Caffe cannot build them: {problem.rstrip('.')}.",
            "Correct what it names, in the solver, the network or the data.",
        )


def _has_classes_of_its_own(setup: TrainingSetup) -> bool:
    """Return whether a Python layer is of a module of this process alone, such as a script."""
    for layer in setup.layers():
        if layer.type != "Python":
            continue
        name = layer.parameters("python_param").string("module") or ""
        if name in sys.modules:
            spec = getattr(sys.modules[name], "__spec__", None)
            if spec is None or spec.name != name:
                return True
    return False
