"""What the table of targets says, put into the page of a rule."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List

from ascend_backend.targets import UNKNOWN, Fact, families

_TABLE = "* targets.json of this package, "
_SHOWN = {True: "yes", False: "no", None: "not known"}


def with_facts(text: str) -> str:
    """Return a page with a line for each fact that it names: its value and status, by family."""
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
        fact: Fact[Any] = family.facts()[name]
        shown = str(_SHOWN.get(fact.value, fact.value))
        status = "" if fact.status == UNKNOWN else f" ({fact.status})"
        found.setdefault(shown, []).append(f"{family.name}{status}")
    for shown, names in found.items():
        yield f"{shown} for {', '.join(names)}"
