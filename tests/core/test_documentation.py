"""The examples in the documentation are what the code gives."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))


def test_the_specification_of_each_layer_has_an_example() -> None:
    pages = [page for page in (ROOT / "docs/ops").glob("*.md") if page.name != "README.md"]
    assert len(pages) == 7
    for page in pages:
        assert ">>> " in page.read_text(), page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples(page: Path) -> None:
    failed, _ = doctest.testfile(str(page), module_relative=False, verbose=False)
    assert failed == 0
