"""What the tests of Caffe's files share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def models(shared: Path) -> Path:
    """Return the folder of real models; tests that need it are skipped where it is missing."""
    return shared / "models"


@pytest.fixture(scope="session")
def caffe() -> Any:
    """Return real Caffe; tests that need it are skipped where it is missing."""
    pytest.importorskip("caffe", reason="pycaffe is not installed in this Python")
    from amct_caffe.runtime.pycaffe import caffe as module

    return module


@pytest.fixture(scope="session")
def caffe_pb2(caffe: Any) -> Any:
    """Return the protobuf module that Caffe brings along."""
    import importlib

    return importlib.import_module("caffe.proto.caffe_pb2")
