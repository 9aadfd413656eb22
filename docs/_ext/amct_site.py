"""What this site does beside plain Sphinx: pages from the code, and links out of the site.

A comment in a page, ``<!-- site: NAME ARGUMENTS -->``, is replaced by what the generator of that
name makes of the code; its headings are one level below the one above.  A comment is invisible
where a page is read as a file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Callable, Dict, List

import api_pages
import command_pages
import config_keys
import lint_pages
import outside_links
import page_lists
from sphinx.application import Sphinx

GENERATORS: Dict[str, Callable[[Path, str], str]] = {
    "api": api_pages.api,
    "commands": command_pages.commands,
    "config": config_keys.keys,
    "hook-list": api_pages.hook_list,
    "hooks": api_pages.hooks,
    "lint-rules": lint_pages.rules,
    "pages": page_lists.listed,
    "registered": config_keys.registered,
}
"""What makes Markdown of the page's path and the arguments."""

_MARKER = re.compile(r"^<!-- site: (\S+) *(.*?) *-->$", re.MULTILINE)
_HEADING = re.compile(r"^#+(?= )", re.MULTILINE)
_SECTION = re.compile(r"^##(?= )", re.MULTILINE)


def setup(app: Sphinx) -> Dict[str, Any]:
    """Register the extension."""
    app.connect("source-read", _on_source)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _on_source(app: Sphinx, docname: str, source: List[str]) -> None:
    path = Path(app.env.doc2path(docname))
    text = outside_links.named_as_code(source[0], path, Path(app.srcdir))
    source[0] = _MARKER.sub(lambda found: _generated(path, text, found), text)


def _generated(path: Path, text: str, marker: re.Match[str]) -> str:
    name, arguments = marker.groups()
    if name not in GENERATORS:
        raise ValueError(f"{path}: no generator '{name}'; expected one of {sorted(GENERATORS)}")
    above = _HEADING.findall(text[: marker.start()])[-1]
    return _SECTION.sub(above + "#", GENERATORS[name](path, arguments))
