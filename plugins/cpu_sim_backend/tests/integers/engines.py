"""The engines that a test of integers runs in: the fast one with every kind of instructions."""

from __future__ import annotations

import contextlib
import importlib.util
from typing import Iterator

import pytest
from hypothesis import note


def every_engine() -> Iterator[str]:
    """Go through all engines that run here, while each example that hypothesis draws is at hand."""
    note("reference engine")
    yield "reference"
    for place in range(kinds_of_instructions()):
        with fast_engine(place):
            note(f"fast engine, choice {place + 1} of its instructions")
            yield "fast"


def kinds_of_instructions() -> int:
    """Return how many kinds of instructions for products this processor has; 0 without numba."""
    if importlib.util.find_spec("numba") is None:
        return 0
    from cpu_sim_backend.fast.instructions import usable

    return len(usable())


@contextlib.contextmanager
def fast_engine(place: int) -> Iterator[None]:
    """Let the fast engine multiply with other instructions, by place in the list: fastest first."""
    from cpu_sim_backend.fast import engine
    from cpu_sim_backend.fast.instructions import usable

    choices = usable()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "usable", lambda: choices[place:])
        yield
