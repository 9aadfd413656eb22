"""What ``amct demo`` tells a new user to do next."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from amct_caffe.cli.demo import activation


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the scripts of an environment whose Python runs, of which the shell knows nothing."""
    scripts = tmp_path / ".venv/bin"
    scripts.mkdir(parents=True)
    (scripts / "activate").touch()
    (scripts / "amct").touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(scripts / "python"))
    monkeypatch.setenv("PATH", "/nowhere")
    return scripts


def test_a_shell_that_does_not_find_amct_is_told_how(environment: Path) -> None:
    assert activation() == ".venv/bin/activate"


def test_a_shell_that_finds_amct_is_told_nothing(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(environment))
    assert activation() is None


def test_nothing_is_told_where_there_is_no_such_script(environment: Path) -> None:
    (environment / "activate").unlink()
    assert activation() is None
