"""The messages that the troubleshooting page quotes are messages of the product."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Iterator, List

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
QUOTED = re.findall(r'^### "(.*)"$', PAGE, re.MULTILINE)
PLUGIN_PAGE = (ROOT / "docs/plugins/index.md").read_text(encoding="utf-8")
OF_PLUGINS = re.findall(r'^\| "(.*)" \|', PLUGIN_PAGE, re.MULTILINE)
VARIABLE = "\0"


def texts_of(source: str) -> Iterator[str]:
    """Yield the texts of a module, with a mark where values are put in."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value.replace("%s", VARIABLE).replace("%d", VARIABLE)
        elif isinstance(node, ast.JoinedStr):
            parts = [each.value if isinstance(each, ast.Constant) else "" for each in node.values]
            yield VARIABLE.join(str(part) for part in parts if part) if parts else ""


@pytest.fixture(scope="module")
def texts() -> List[str]:
    folders = [ROOT / "amct_core", *(ROOT / "plugins").glob("*/[!t]*")]
    files = [file for folder in folders for file in folder.rglob("*.py")]
    pages = [page for folder in folders for page in folder.rglob("*.md")]
    found = [text for file in files for text in texts_of(file.read_text(encoding="utf-8"))]
    return found + [page.read_text(encoding="utf-8") for page in pages]


def is_in(message: str, text: str) -> bool:
    """Return whether the fixed parts of a message are in a text, in order."""
    place = 0
    for part in filter(None, (each.strip() for each in message.split("…"))):
        place = text.find(part, place)
        if place < 0:
            return False
        place += len(part)
    return True


def test_there_are_as_many_as_a_reader_may_hope_for() -> None:
    assert len(QUOTED) >= 30
    assert len(set(QUOTED)) == len(QUOTED)


@pytest.mark.parametrize("message", [*QUOTED, *OF_PLUGINS])
def test_the_product_says_it(message: str, texts: List[str]) -> None:
    fixed = "".join(message.split("…"))
    assert len(fixed) >= 9
    assert any(is_in(message, text) for text in texts)


@pytest.mark.parametrize("message", ["layer '…' is not quantised: …", "there is nothing: …"])
def test_a_message_that_it_does_not_say_would_be_noticed(message: str, texts: List[str]) -> None:
    assert not any(is_in(message, text) for text in texts)
