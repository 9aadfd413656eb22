"""What the tests of the numerics share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

VECTORS = Path(__file__).resolve().parents[2] / "vectors"


@pytest.fixture(scope="session")
def cases() -> Callable[[str], List[Dict[str, Any]]]:
    """Return a reader of the reference library's cases by algorithm."""

    def read(algorithm: str) -> List[Dict[str, Any]]:
        text = (VECTORS / f"{algorithm}_libquant.json").read_text(encoding="utf-8")
        loaded: List[Dict[str, Any]] = json.loads(text)["cases"]
        return loaded

    return read


@pytest.fixture(scope="session")
def reference_vectors(shared: Path) -> Callable[[str], Dict[str, Any]]:
    """Return a reader of the vector files that lie with the real models and data."""

    def read(name: str) -> Dict[str, Any]:
        path = shared / "reference/vectors" / f"{name}.json"
        if not path.is_file():
            pytest.skip(f"there is no {path}")
        loaded: Dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return loaded

    return read
