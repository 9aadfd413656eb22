"""The built site: it has no warning, no dead link, and fits a telephone."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Dict, List, Optional, Set, Tuple
from urllib.parse import unquote, urlsplit

import pytest

from amct_core.plugins import KINDS
from plugins.cpu_sim_backend.tests.report_page import chromium

pytestmark = pytest.mark.slow

DOCS = Path(__file__).resolve().parents[2] / "docs"
WIDTH = 400


class Links(HTMLParser):
    """The links of one page, and the places that links may lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: List[str] = []
        self.places: Set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: List[Tuple[str, Optional[str]]]) -> None:
        for key, value in attributes:
            if key in ("href", "src") and value is not None:
                self.targets.append(value)
            elif key in ("id", "name") and value is not None:
                self.places.add(value)


@pytest.fixture(scope="module")
def pages(site: Path) -> Dict[Path, Links]:
    """The links of every page, by its file."""
    return {file: Links(file.read_text(encoding="utf-8")) for file in site.rglob("*.html")}


def test_every_file_of_the_documentation_is_a_page(pages: Dict[Path, Links], site: Path) -> None:
    files = {file.relative_to(DOCS).with_suffix("") for file in DOCS.rglob("*.md")}
    assert files <= {page.relative_to(site).with_suffix("") for page in pages}
    assert len(files) > 70


def test_no_link_is_dead(pages: Dict[Path, Links]) -> None:
    dead = [
        f"{page.name}: {target}"
        for page, links in pages.items()
        for target in links.targets
        if not leads_somewhere(target, page, pages)
    ]
    assert dead == []


def leads_somewhere(target: str, page: Path, pages: Dict[Path, Links]) -> bool:
    """Return whether a link leads to a file, and to a place in it; others' sites are not asked."""
    parts = urlsplit(target)
    if parts.scheme in ("http", "https", "data"):
        return True
    if parts.scheme or parts.path.startswith("/"):
        return False
    file = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if parts.fragment and file in pages:
        return unquote(parts.fragment) in pages[file].places
    return file.is_file()


def test_a_dead_link_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text('<a href="#here">x</a><p id="here">')
    pages = {page: Links(page.read_text())}
    assert leads_somewhere("page.html#here", page, pages)
    for target in ("#there", "page.html#there", "other.html", "/page.html", "file:///page.html"):
        assert not leads_somewhere(target, page, pages), target


def test_links_lead_to_no_site_but_those_of_the_theme(pages: Dict[Path, Links]) -> None:
    hosts = {urlsplit(target).netloc for links in pages.values() for target in links.targets}
    assert hosts <= {"", "pradyunsg.me", "github.com"}


def test_every_hook_has_a_section_with_an_example(site: Path) -> None:
    page = (site / "plugins/hooks.html").read_text(encoding="utf-8")
    found = set(re.findall(r'id="amct_core\.hookspecs\.amct_(\w+)"', page))
    assert found == set(KINDS)
    assert page.count("hookimpl") >= 2 * len(KINDS)


def test_every_page_says_that_the_project_is_independent(site: Path) -> None:
    for file in DOCS.rglob("*.md"):
        page = (site / file.relative_to(DOCS)).with_suffix(".html").read_text(encoding="utf-8")
        assert "independent of Huawei" in page, file


@pytest.mark.skipif(
    chromium.program() is None, reason="no Chromium on PATH: apt-get install chromium"
)
def test_no_page_scrolls_sideways_on_a_telephone(pages: Dict[Path, Links], site: Path) -> None:
    found = widths(sorted(pages), site)
    assert len(found) == len(pages)
    assert {each["page"]: each["beyond"] for each in found if each["wide"] > each["room"]} == {}
    assert all(WIDTH - 20 <= each["room"] <= WIDTH for each in found)


@pytest.mark.skipif(
    chromium.program() is None, reason="no Chromium on PATH: apt-get install chromium"
)
def test_a_page_that_is_too_wide_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<!DOCTYPE html><p>" + "x" * 400)
    (found,) = widths([page], tmp_path)
    assert found["wide"] > found["room"]
    assert found["beyond"] or found["wide"] > WIDTH


ASKED = """
  const found = Array.from(document.querySelectorAll("iframe")).map(frame => {
    const page = frame.contentWindow, root = page.document.documentElement;
    const beyond = Array.from(page.document.querySelectorAll("article *"))
      .filter(each => each.getBoundingClientRect().right > page.innerWidth + 1
                      && !each.closest("pre, .table-wrapper"))
      .map(each => each.tagName + " " + each.textContent.slice(0, 60));
    return {page: frame.title, wide: root.scrollWidth, room: root.clientWidth,
            beyond: beyond.slice(0, 3)};
  });
  const answer = document.createElement("pre");
  answer.textContent =
    "ANSWER" + btoa(unescape(encodeURIComponent(JSON.stringify(found)))) + "END";
  document.body.append(answer);
"""


def widths(files: List[Path], folder: Path) -> List[Dict[str, Any]]:
    """Return how wide each page is in a window of WIDTH pixels, and how much room it has."""
    frames = "".join(
        f'<iframe title="{file.relative_to(folder)}" src="{file.relative_to(folder)}" '
        f'style="border:0;width:{WIDTH}px;height:800px"></iframe>'
        for file in files
    )
    asking = folder / "asking.html"
    asking.write_text(
        f"<!DOCTYPE html><meta charset='utf-8'><body>{frames}"
        f"<script>window.onload = () => {{{ASKED}}};</script>",
        encoding="utf-8",
    )
    # Files count as one site then, so that the question reaches into the frames.
    printed, console = chromium.run(
        asking, "--dump-dom", "--window-size=1400,1000", "--allow-file-access-from-files"
    )
    asking.unlink()
    answer = re.search(r"ANSWER([\w+/=]+)END", printed)
    assert answer is not None, (console, printed[-500:])
    found = json.loads(base64.b64decode(answer[1]).decode("utf-8"))
    assert isinstance(found, list)
    return found
