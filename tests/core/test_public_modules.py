"""The modules that ``docs/compatibility.md`` promises are there, and nothing else is needed."""

from __future__ import annotations

import ast
import importlib
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/compatibility.md").read_text(encoding="utf-8")
PUBLIC = re.findall(r"^\| `([a-z_0-9.]+)` \|", PAGE, re.MULTILINE)
OURS = {"amct_core", "amct_caffe", "ascend_backend", "cpu_sim_backend"}

EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))
TYPED = sorted((ROOT / "tests/typing/accepted").glob("*.py"))


def imports_of(source: str) -> Iterator[tuple[str, str]]:
    """Yield each module of ours that is imported, with what is taken from it ("" for itself)."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            pairs = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            pairs = [(str(node.module), alias.name) for alias in node.names]
        else:
            continue
        yield from (pair for pair in pairs if pair[0].split(".")[0] in OURS)


def not_public(source: str) -> list[str]:
    """Return what is imported and not public."""
    wrong = []
    for module, name in imports_of(source):
        if f"{module}.{name}" in PUBLIC:
            continue
        if module not in PUBLIC or name.startswith("_"):
            wrong.append(f"{module} {name}".strip())
    return wrong


def test_the_page_lists_each_once() -> None:
    assert len(PUBLIC) == len(set(PUBLIC)) > 30


@pytest.mark.parametrize("module", PUBLIC)
def test_a_public_module_is_there_and_says_what_it_is_for(module: str) -> None:
    imported = importlib.import_module(module)
    assert imported.__doc__
    assert not any(part.startswith("_") for part in module.split("."))
    public = getattr(imported, "__all__", None) or [
        name for name in vars(imported) if not name.startswith("_")
    ]
    assert public
    assert all(hasattr(imported, name) for name in public)


@pytest.mark.parametrize("path", [*EXAMPLES, *TYPED], ids=lambda path: path.name)
def test_examples_use_public_modules_alone(path: Path) -> None:
    assert not_public(path.read_text(encoding="utf-8")) == []


def test_examples_of_hooks_use_public_modules_alone() -> None:
    hooks = ast.parse((ROOT / "amct_core/hookspecs.py").read_text(encoding="utf-8"))
    examples = 0
    for node in ast.walk(hooks):
        if isinstance(node, ast.FunctionDef):
            blocks = re.findall(r"::\n\n((?:    .*\n|\n)+)", ast.get_docstring(node) or "")
            for block in blocks:
                examples += 1
                assert not_public(textwrap.dedent(block)) == [], node.name
    assert examples >= 12


def test_whatever_is_not_listed_is_found() -> None:
    assert not_public("from amct_core.plugins import host\nimport json") == [
        "amct_core.plugins host"
    ]
    assert not_public("import amct_core.plugins as p") == ["amct_core.plugins"]
    assert not_public("from amct_core.errors import _hidden") == ["amct_core.errors _hidden"]
    assert not_public("from amct_core.numerics import affine") == []
    assert not_public("from amct_core.numerics import kl") == ["amct_core.numerics kl"]
