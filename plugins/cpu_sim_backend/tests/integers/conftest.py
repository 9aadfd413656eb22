"""Every test of integers runs in both engines, the fast one with all instructions there are."""

from __future__ import annotations

from typing import Iterator

import pytest

FAST = {"fast": 0, "fast, second choice": 1, "fast, third choice": 2, "fast, fourth choice": 3}
"""By place in the list of instructions that this processor has, the fastest first."""


@pytest.fixture(scope="module", params=["reference", *FAST])
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """Return one engine after the other; the fast one only where its libraries are."""
    if request.param == "reference":
        yield "reference"
        return
    pytest.importorskip("numba")
    from cpu_sim_backend.fast import engine as fast_engine
    from cpu_sim_backend.fast.instructions import usable

    choices, place = usable(), FAST[request.param]
    if place >= len(choices):
        pytest.skip(f"this processor has {len(choices)} kinds of instructions for products")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast_engine, "usable", lambda: choices[place:])
        yield "fast"
