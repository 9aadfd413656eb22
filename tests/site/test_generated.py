"""What the site makes of the code names everything there is."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Callable, Iterator

import pytest

from amct_core.plugins import registries
from ascend_backend.lint.rules import RULES

pytest.importorskip("sphinx", reason="the site is built on CPython 3.9")

DOCS = Path(__file__).resolve().parents[2] / "docs"
Load = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def load() -> Iterator[Load]:
    sys.path.insert(0, str(DOCS / "_ext"))
    yield importlib.import_module
    sys.path.remove(str(DOCS / "_ext"))


@pytest.fixture(scope="module")
def commands(load: Load) -> str:
    return str(load("command_pages").commands(DOCS, ""))


def test_every_command_has_a_section(commands: str) -> None:
    sections = re.findall(r"^## amct (.+)$", commands, re.MULTILINE)
    assert sorted(sections) == sorted(registries().cli_commands.names())


def test_options_stand_with_what_they_do(commands: str) -> None:
    lint = commands.partition("## amct lint\n")[2].partition("\n## ")[0]
    assert "`--soc-version TEXT`\n: The processor the model is for, such as Ascend310P3." in lint
    assert "amct lint [OPTIONS] [PREFIX]" in lint
    assert "--help" not in lint


def test_text_of_help_is_not_taken_for_markdown(load: Load) -> None:
    escaped = load("command_pages").escaped("a*b_c <d> [e] `f` $g | h")
    assert escaped == r"a\*b\_c \<d\> \[e\] \`f\` \$g \| h"


def test_every_public_module_is_in_the_reference() -> None:
    page = (DOCS / "compatibility.md").read_text(encoding="utf-8")
    public = re.findall(r"^\| `([a-z_0-9.]+)` \|", page, re.MULTILINE)
    pages = [file.read_text(encoding="utf-8") for file in (DOCS / "reference/api").glob("*.md")]
    shown = [name for text in pages for name in re.findall(r"<!-- site: api (\S+)", text)]
    assert sorted(shown) == sorted(set(public) - {"amct_core.hookspecs"})


def test_what_only_type_checkers_see_is_told_too(load: Load) -> None:
    page = load("api_pages").hooks(DOCS, "")
    for name in ("CalibrationRun", "ShiftSearcher", "RoundingRun", "FallbackSearch"):
        found = re.findall(rf"\.\. py:class:: amct_core\.extensions\.\w+\.{name}$", page, re.M)
        assert len(found) == 1, name
    assert ".. py:method:: observe(batch: Array) -> None" in page


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        ("network_pass", "AFTER_TRAINING", "after training"),
        ("lint_rule", "WARNING", "warning"),
        ("processor_family", "FLOAT16_SCALE", "float16 scale"),
        ("processor_family", "REQUANTIZED", "requantized"),
        ("processor_family", "INFERRED", "inferred"),
    ],
)
def test_constants_stand_with_value_and_module(
    load: Load, module: str, name: str, value: str
) -> None:
    pages, path = load("api_pages"), f"amct_core.extensions.{module}"
    hooks = pages.hooks(DOCS, "")
    assert hooks.count(f"Constants, from `{path}`") == 1
    assert hooks.count(f"| `{name}` | `'{value}'` | ") == 1
    assert f".. autodata:: {path}.{name}\n" in pages.api(DOCS, path)


def test_constants_are_upper_case_names_with_a_docstring(load: Load) -> None:
    found = load("constants").constants_of("amct_core.extensions.network_pass")
    assert [each.name for each in found] == ["BEFORE_INSERTION", "AFTER_TRAINING"]
    assert found[0].meaning.startswith("Before fake quantization is inserted: ")
    assert load("constants").table("amct_core.extensions.report") == ""


def test_every_rule_of_lint_has_a_section(load: Load) -> None:
    page = load("lint_pages").rules(DOCS, "")
    assert re.findall(r"^## (A\d+): ", page, re.MULTILINE) == sorted(rule.id for rule in RULES)
    assert "**What to do**" in page


def test_registered_names_are_listed_by_kind(load: Load) -> None:
    page = load("config_keys").registered(DOCS, "")
    assert "Calibrators\n: `best`, `hfmg`, `ifmr`" in page
    assert "Shift searches\n: `none`" in page
    assert "Passes\n: none\n" in page  # of which our distributions register none


class TestLinksOutOfTheSite:
    def test_a_file_of_the_repository_is_named(self, load: Load) -> None:
        named = load("outside_links").named_as_code
        page = DOCS / "adr/page.md"
        text = named("[measured](../../benchmarks/notes.md#threads) so", page, DOCS)
        assert text == "measured (`benchmarks/notes.md` in the repository) so"
        assert named("[benchmarks/notes.md](../../benchmarks/notes.md)", page, DOCS) == (
            "`benchmarks/notes.md`"
        )

    def test_a_page_stays_a_link(self, load: Load) -> None:
        text = "[guide](../user-guide.md#4-save) and [site](https://example.org/../x)"
        assert load("outside_links").named_as_code(text, DOCS / "adr/page.md", DOCS) == text

    def test_a_file_that_is_not_there_is_an_error(self, load: Load) -> None:
        with pytest.raises(ValueError, match=r"nothing\.md is no file"):
            load("outside_links").named_as_code("[x](../nothing.md)", DOCS / "page.md", DOCS)
