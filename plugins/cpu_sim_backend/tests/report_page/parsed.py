"""A page as a parser sees it; one that is not well-formed fails."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Dict, List, Optional, Tuple

VOID = {"meta", "link", "br", "wbr", "img", "input", "hr", "path"}
RAW = {"script", "style"}


class Page(HTMLParser):
    """A page that was read.

    Attributes:
        elements: tag and attributes of everything in the page.
        text: all that a reader sees, in one string.
        sections: the text of each section by its id.
    """

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: List[Tuple[str, Dict[str, Optional[str]]]] = []
        self.pieces: List[str] = []
        self.sections: Dict[str, str] = {}
        self.open: List[str] = []
        self.section = ""
        self.feed(page)
        self.close()
        assert self.open == []
        self.text = "".join(self.pieces)

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute comes twice in {tag}: {attrs}"
        self.elements.append((tag, dict(attrs)))
        if tag == "section":
            self.section = dict(attrs)["id"] or ""
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if not RAW.intersection(self.open):
            self.pieces.append(data)
            self.sections[self.section] = self.sections.get(self.section, "") + data

    def count(self, tag: str) -> int:
        return sum(each == tag for each, _ in self.elements)

    def values(self, attribute: str) -> List[str]:
        return [a[attribute] or "" for _, a in self.elements if attribute in a]
