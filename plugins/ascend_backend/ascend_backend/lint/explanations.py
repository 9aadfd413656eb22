"""The explanation page of each rule: what ATC does, why, what to do, and where it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Iterator, List

from ascend_backend.lint.rule import Rule
from ascend_backend.targets import UNKNOWN, Fact, families

FOLDER = Path(__file__).with_name("pages")

_TABLE = "* targets.json of this package, "
_SHOWN = {True: "yes", False: "no", None: "not known"}


def page(rule: Rule) -> str:
    """Return the page of ``rule`` in Markdown.

    Where it names a fact of the table of targets, what the table says of each family is put there,
    with how well that is known.
    """
    text = (FOLDER / f"{rule.id}.md").read_text(encoding="utf-8")
    return "".join(f"{line}\n" for row in text.splitlines() for line in _lines(row))


def _lines(row: str) -> Iterator[str]:
    if not row.startswith(_TABLE):
        yield row
        return
    for name in row[len(_TABLE) :].replace(" and ", ", ").split(", "):
        yield f"{_TABLE}{name}: {'; '.join(_said(name))}"


def _said(name: str) -> Iterator[str]:
    """Yield each value of a fact, with the families that have it."""
    found: Dict[str, List[str]] = {}
    for family in families():
        fact: Fact[Any] = family.facts[name]
        shown = str(_SHOWN.get(fact.value, fact.value))
        status = "" if fact.status == UNKNOWN else f" ({fact.status})"
        found.setdefault(shown, []).append(f"{family.name}{status}")
    for shown, names in found.items():
        yield f"{shown} for {', '.join(names)}"
