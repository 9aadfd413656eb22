"""The explanation page of each rule: what ATC does, why, what to do, and where it is written."""

from __future__ import annotations

from pathlib import Path

from ascend_backend.lint.rule import Rule

FOLDER = Path(__file__).with_name("pages")


def page(rule: Rule) -> str:
    """Return the page of ``rule`` in Markdown."""
    return (FOLDER / f"{rule.id}.md").read_text(encoding="utf-8")
