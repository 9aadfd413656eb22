"""The nets that the solver tests.

Source: ``InitTrainNet`` and ``InitTestNets`` of BVLC Caffe's solver.cpp.
"""

from __future__ import annotations

from typing import Iterator

from amct_caffe.checks.check import Violation
from amct_caffe.checks.training_setup import TrainingSetup

_EMBEDDED = ("net_param", "train_net_param", "test_net_param")


def wrong_test_nets(setup: TrainingSetup) -> Iterator[Violation]:
    """Yield what keeps Caffe from building the nets of the solver."""
    solver = setup.solver
    for field in _EMBEDDED:
        if solver.message.has(field):
            yield Violation(
                field,
                "it holds a network; expected the modified model, in a file of its own.",
                f"Leave {field} out.",
            )
    if solver.net is not None and solver.train_net is not None:
        yield Violation(
            "train_net",
            "the solver has both net and train_net; Caffe ends the process on that.",
            "Leave out train_net.",
        )
    tests, named = len(solver.test_iter), len(solver.test_nets)
    if named and (tests < named or (solver.net is None and tests != named)):
        yield Violation(
            "test_iter",
            f"it is given {tests} times for {named} test nets; expected once for each.",
            "Give test_iter once for each test_net.",
        )
    states = len(solver.message.messages("test_state"))
    if states not in (0, tests):
        yield Violation(
            "test_state",
            f"it is given {states} times, and test_iter {tests} times; expected as often.",
            "Give test_state once for each test_iter, or leave it out.",
        )
    if tests and solver.test_interval <= 0 and not setup.needs.searches:
        yield Violation(
            "test_interval",
            f"it is {solver.test_interval}, and test_iter is given; Caffe ends the process on "
            "that.",
            "Set test_interval, or leave out test_iter.",
        )
