"""Which nets a solver makes: how many, and with which layers."""

from __future__ import annotations

import itertools
from typing import Iterator, List

from amct_caffe.checks.check import Violation
from amct_caffe.model.formats.prototxt.document import NetDocument
from amct_caffe.model.formats.prototxt.phases import phase_of
from amct_caffe.model.formats.prototxt.solver import Solver
from amct_caffe.passes.net_states import other_layers, unmade_bottoms
from amct_core.network_state import NetworkState
from amct_core.textproto import Message

_INSERT_AGAIN = (
    "Insert with this solver (amct qat config --solver), or give the field as it was then."
)


def count_violations(solver: Solver, searches: bool) -> Iterator[Violation]:
    """Return the counts about which Caffe would end the process.

    1. One field names the training net.
    2. There is one ``test_iter`` for each ``test_net`` and ``test_net_param``; more of them need a
       ``net`` to test.
    3. There is no ``test_state``, or one per testing net.
    4. With testing nets, ``test_interval > 0``.

    Source: BVLC Caffe, ``Solver::InitTrainNet`` and ``InitTestNets``.

    Args:
        solver: to look at.
        searches: whether N is searched; then a test that is missing altogether is found elsewhere.
    """
    if len(solver.train_fields) > 1:
        named = " and ".join(solver.train_fields)
        yield Violation(
            solver.train_fields[0], f"it is there beside others ({named}).", "Keep one of them."
        )
    nets, counts, states = solver.testing_nets(), solver.test_iter, solver.test_states
    if nets and len(counts) != len(nets) and not (searches and not counts):
        yield Violation(
            "test_iter",
            f"it is there {len(counts)} times for {len(nets)} testing nets.",
            "Give one test_iter per testing net.",
        )
    if states and len(states) != len(counts):
        yield Violation(
            "test_state",
            f"it is there {len(states)} times for {len(counts)} testing nets (test_iter).",
            "Give one test_state per test_iter, or none.",
        )
    if nets and solver.test_interval <= 0 and not searches:
        yield Violation(
            "test_interval",
            f"it is {solver.test_interval}, but there are test_iter.",
            "Set test_interval: max_iter (or a divisor of it).",
        )


def state_violations(solver: Solver, document: NetDocument) -> Iterator[Violation]:
    """Return in which of the solver's nets the layers are not those that they should be.

    1. The TRAIN net and the first TEST net have the layers that the model was made for.
    2. No state turns a TRAIN net into a TEST net, or the other way round.
    3. Every net can be made: no layer reads a blob that is not there.

    Args:
        solver: to look at.
        document: the model, with the states that it was made for.
    """
    yield from _phase_violations(solver, document)
    difference = other_layers(document, "TRAIN", solver.train_state)
    if difference is not None:
        yield Violation("train_state", f"{difference}.", _INSERT_AGAIN)
    states = _testing_states(solver)
    if states:
        difference = other_layers(document, "TEST", states[0])
        if difference is not None:
            yield Violation("test_state", f"{difference}.", _INSERT_AGAIN)
    yield from _bottom_violations("train_state", document, "TRAIN", solver.train_state)
    for number, state in enumerate(states, start=1):
        yield from _bottom_violations(f"test_state {number}", document, "TEST", state)


def _bottom_violations(
    field: str, document: NetDocument, phase: str, state: NetworkState
) -> Iterator[Violation]:
    for problem in itertools.islice(unmade_bottoms(document, phase, state), 1):
        yield Violation(
            field,
            f"it is {state}, and Caffe cannot make this {phase} net: {problem}.",
            "Correct the state, or the rules of the layers.",
        )


def searching_nets(solver: Solver, document: NetDocument) -> List[int]:
    """Return which testing nets search N: those that have the layers the model was made for."""
    return [
        index
        for index, state in enumerate(_testing_states(solver))
        if other_layers(document, "TEST", state) is None
    ]


def _testing_states(solver: Solver) -> List[NetworkState]:
    """Return what the solver says of the state of each testing net of the model."""
    return solver.test_states or [NetworkState()] * len(solver.test_iter)


def _phase_violations(solver: Solver, document: NetDocument) -> Iterator[Violation]:
    own = phase_of(document.fields.message("state") or Message())
    train = phase_of(solver.message.message("train_state") or Message())
    tests = [phase_of(message) for message in solver.message.messages("test_state")]
    for field, expected, found in (
        ("train_state", "TRAIN", [train]),
        ("test_state", "TEST", tests or [None]),
    ):
        wrong = [said or own for said in found if (said or own) not in (None, expected)]
        if wrong:
            where = field if own is None else f"{field}, and state of the network"
            yield Violation(
                f"{field}.phase",
                f"it is {wrong[0]} ({where}); expected {expected}.",
                "Leave the phase out of states: the solver sets it.",
            )
