"""The table of contents below a page whose own text lists its pages."""

from __future__ import annotations

from pathlib import Path


def listed(page: Path, patterns: str) -> str:
    """Return a hidden table of the pages beside ``page`` that match the patterns, in order."""
    return "\n".join(["```{toctree}", ":hidden:", ":glob:", "", *patterns.split(), "```"])
