"""Links to files of the repository that are no pages of the site: there they are named as code."""

from __future__ import annotations

import os
import re
from pathlib import Path

_LINK = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+[^)#]*)(?:#[^)]*)?\)")


def named_as_code(text: str, page: Path, docs: Path) -> str:
    """Return the page's text with each link out of ``docs`` as words and the name of the file."""

    def replaced(found: re.Match[str]) -> str:
        target = Path(os.path.normpath(page.parent / found[2]))
        if docs in target.parents:
            return found[0]
        if not target.exists():
            raise ValueError(f"{page}: {found[2]} is no file")
        name = target.relative_to(docs.parent).as_posix()
        if found[1] in (name, f"`{name}`"):
            return f"`{name}`"
        return f"{found[1]} (`{name}` in the repository)"

    return _LINK.sub(replaced, text)
