"""Whether there is a Caffe: a module, and not a folder that is called so."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from amct_caffe.runtime.installed import caffe_is_installed
from amct_core.cli.checks import check_caffe


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that is the only one where Python looks for modules."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "caffe", raising=False)
    return tmp_path


def answers() -> tuple[bool, bool]:
    return caffe_is_installed(), check_caffe((3, 9)).good


def test_without_one_there_is_none() -> None:
    assert answers() == (False, False)


def test_a_folder_with_a_clone_or_with_models_is_none(path: Path) -> None:
    (path / "caffe/models").mkdir(parents=True)
    assert answers() == (False, False)


def test_a_module_is_one(path: Path) -> None:
    (path / "caffe").mkdir()
    (path / "caffe/__init__.py").touch()
    assert answers() == (True, True)


def test_a_stub_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "caffe", ModuleType("caffe"))
    assert answers() == (False, False)
