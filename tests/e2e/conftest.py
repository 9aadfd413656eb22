"""Fixtures of the end-to-end tests."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the helpers beside the tests

from digits import DigitsModel, make_digits_model


@pytest.fixture(scope="session")
def trained_digits(tmp_path_factory) -> DigitsModel:
    """Train the digits network once per session."""
    return make_digits_model(tmp_path_factory.mktemp("digits"))


@pytest.fixture
def digits(trained_digits, tmp_path) -> DigitsModel:
    """Return a copy of the trained digits network that a test may write beside."""
    shutil.copytree(trained_digits.folder, tmp_path / "work")
    return DigitsModel(tmp_path / "work")
