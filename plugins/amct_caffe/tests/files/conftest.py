"""What the tests of Caffe's files share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# A busy machine is not a failure.
settings.register_profile("no-deadline", settings(), deadline=None)
settings.load_profile("no-deadline")

MODELS = Path(__file__).resolve().parents[5] / "shared" / "models"


@pytest.fixture(scope="session")
def models() -> Path:
    """Return the folder of real models; tests that need it are skipped where it is missing."""
    if not MODELS.is_dir():
        pytest.skip(f"the real models are not at {MODELS}")
    return MODELS


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
