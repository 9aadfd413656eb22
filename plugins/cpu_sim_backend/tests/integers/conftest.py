"""Every test of integers runs in both engines."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module", params=["reference", "fast"])
def engine(request: pytest.FixtureRequest) -> str:
    """Return one engine after the other; the fast one only where its libraries are."""
    if request.param == "fast":
        pytest.importorskip("numba")
        pytest.importorskip("onnxruntime")
    return str(request.param)
