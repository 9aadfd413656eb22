"""What the tests of graphs share."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="session")
def caffe() -> Any:
    """Return real Caffe; tests that need it are skipped where it is missing."""
    return pytest.importorskip("amct_caffe.runtime.pycaffe").caffe
