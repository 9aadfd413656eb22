"""What the tests of training share."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from plugins.amct_caffe.tests.qat.bench import Bench


@pytest.fixture(scope="session")
def caffe() -> Any:
    """Return real Caffe; tests that need it are skipped where it is missing."""
    if importlib.util.find_spec("caffe") is None:
        pytest.skip("pycaffe is not installed in this Python")
    from amct_caffe.runtime.pycaffe import caffe as module

    return module


@pytest.fixture
def bench(caffe: Any, tmp_path: Path) -> Bench:
    """Return an empty folder with Caffe."""
    return Bench(caffe, tmp_path)
