"""How a rewriting is written: one class per pass, checked before and after.

A pass takes a state (a graph, or a frontend's own network) and returns the next one.  What it needs
and what it promises are methods of their own, so a network that a pass cannot handle is refused
before it is half rewritten, and a pass that breaks a promise is caught where it happened.
"""

from __future__ import annotations

import abc
import logging
from typing import Generic, Iterable, TypeVar

State = TypeVar("State")

_log = logging.getLogger("amct_core.graph.passes")


class Pass(abc.ABC, Generic[State]):
    """One rewriting.  The class docstring numbers the rules of when it fires and what it does."""

    @property
    def name(self) -> str:
        """The name of the pass in logs and errors."""
        return type(self).__name__

    def requires(self, state: State) -> None:
        """Raise a :class:`~amct_core.errors.ModelError` if ``state`` is not fit for this pass."""

    @abc.abstractmethod
    def run(self, state: State) -> State:
        """Return the rewritten state; ``state`` itself stays as it was."""

    def ensures(self, state: State) -> None:
        """Raise an :class:`AssertionError` if the result breaks what the pass promises."""


def run_passes(state: State, passes: Iterable[Pass[State]]) -> State:
    """Apply ``passes`` in turn, each with its checks before and after, and return the result."""
    for step in passes:
        _log.debug("pass %s", step.name)
        step.requires(state)
        state = step.run(state)
        step.ensures(state)
    return state
