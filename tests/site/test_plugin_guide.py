"""The plugin of the guide is found and works, as its files stand on the page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

from tests.site import page_runner

PAGE = Path(__file__).resolve().parents[2] / "docs/plugins/index.md"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    page_runner.install_plugin(PAGE, tmp_path)
    return tmp_path


def run(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env=page_runner.surroundings(Path(sys.prefix), {"PYTHONPATH": str(folder)}),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_page_has_the_files_of_a_distribution() -> None:
    assert list(page_runner.files(PAGE)) == [
        "pyproject.toml",
        "my_amct_plugin/hooks.py",
        "my_amct_plugin/mean_of_extremes.py",
        "test_hooks.py",
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["amct_core", "plugins"], "from my_amct_plugin:\n    mean_of_extremes"),
        (["pytest", "-q", "-p", "no:cacheprovider", "test_hooks.py"], "1 passed"),
    ],
    ids=["it is found", "its test passes"],
)
def test_what_the_page_promises(folder: Path, words: List[str], expected: str) -> None:
    assert expected in run(folder, *words)
