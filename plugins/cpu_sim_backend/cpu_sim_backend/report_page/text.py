"""Names and sentences that come from files: they may hold anything, and must stay readable.

jinja2 escapes what is special in HTML.  What is left are characters that a browser swallows, that
turn the direction of what follows, or that no file can hold.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markupsafe import Markup

_UNREADABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_PLAIN_WORD = re.compile("[a-z]+[,:]? ")
_SEAMS = re.compile(r"(?<=[/_.:\-])(?=[^/_.:\-])")


def readable(value: Any) -> Any:
    r"""Return a value for the page, with unreadable characters of a string as codes like ``\x1b``.

    Markup, which is made here, is returned as it is.
    """
    if type(value) is not str:
        return value
    return _UNREADABLE.sub(lambda found: _code(ord(found[0])), value)


def sentence(words: str) -> str:
    """Return words as a sentence: with a capital, where a plain word begins it, and a full stop."""
    words = words.strip()
    if _PLAIN_WORD.match(words):
        words = words[0].upper() + words[1:]
    return words if words.endswith((".", "!", "?", ":")) or not words else f"{words}."


def folding(name: str) -> Markup:
    """Return a name that may go on in the next line behind its slashes, dots and underscores."""
    from markupsafe import Markup, escape

    parts = (escape(part) for part in _SEAMS.split(readable(name)))
    return Markup("<bdi>{}</bdi>").format(Markup("<wbr>").join(parts))


def _code(character: int) -> str:
    return f"\\x{character:02x}" if character < 256 else f"\\u{character:04x}"
