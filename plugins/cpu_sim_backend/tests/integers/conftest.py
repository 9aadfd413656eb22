"""Every test of integers runs in both engines, the fast one with all instructions there are."""

from __future__ import annotations

from typing import Iterator

import pytest

from plugins.cpu_sim_backend.tests.integers.engines import fast_engine, kinds_of_instructions

FAST = {"fast": 0, "fast, second choice": 1, "fast, third choice": 2, "fast, fourth choice": 3}
"""By place in the list of instructions that this processor has, the fastest first."""


@pytest.fixture(scope="module", params=["reference", *FAST])
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """Return one engine after the other; the fast one only where its libraries are."""
    if request.param == "reference":
        yield "reference"
        return
    pytest.importorskip("numba")
    kinds, place = kinds_of_instructions(), FAST[request.param]
    if place >= kinds:
        pytest.skip(f"this processor has {kinds} kinds of instructions for products")
    with fast_engine(place):
        yield "fast"
