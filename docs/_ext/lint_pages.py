"""The rules of ``amct lint``: the pages that ``amct lint --explain`` prints."""

from __future__ import annotations

import re
from pathlib import Path

from ascend_backend.lint.rules import RULES

_TITLE = re.compile(r"^# ", re.MULTILINE)
_PART = re.compile(r"^## (.*)$", re.MULTILINE)


def rules(page: Path, arguments: str) -> str:
    """Return a section for every rule, in the order of their ids."""
    found = (rule.page().strip() for rule in sorted(RULES, key=lambda rule: rule.id))
    return "\n\n".join(_TITLE.sub("## ", _PART.sub(r"**\1**", text)) for text in found)
