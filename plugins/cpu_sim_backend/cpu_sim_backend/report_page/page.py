"""From a report to its page, with jinja2."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from amct_core.cli.installing import how_to_install
from amct_core.errors import EnvironmentUnsuitableError
from cpu_sim_backend.analysis.model import NetworkReport
from cpu_sim_backend.report_page import text, words
from cpu_sim_backend.report_page.views import view_of

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).parent / "templates"


def render(report: NetworkReport, advice: Optional[str] = None) -> str:
    """Return the page of a report: one HTML file, the same for the same report.

    It asks for nothing over a network, and its policy forbids that to the browser as well; the one
    script that may run is its own.  It can be read without scripts.

    Args:
        report: what to show.
        advice: the file in which the cures are, or None where they were not written.

    Raises:
        EnvironmentUnsuitableError: jinja2 is not installed.
    """
    environment = _environment()
    from markupsafe import Markup

    script, style = (_source(name) for name in ("script.js", "style.css"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html").render(
        page=view_of(report, advice),
        report=report,
        script=Markup(script),
        style=Markup(style),
        script_digest=digest,
    )


def check_installed() -> None:
    """Raise an EnvironmentUnsuitableError if what makes the page is not installed."""
    if importlib.util.find_spec("jinja2") is None:
        raise EnvironmentUnsuitableError(
            "the page of a report is made with jinja2, which is not installed.",
            remedy=f"Run: {how_to_install('amct[report]')}. The JSON of it needs none.",
        )


def _environment() -> jinja2.Environment:
    check_installed()
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=text.readable,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        folding=text.folding,
        sentence=text.sentence,
        number=words.number,
        count=words.count,
        share=words.share,
        decibels=words.decibels,
        cosine=words.cosine,
        plural=words.plural,
        ranges=words.ranges,
        duration=words.seconds,
    )
    return environment


def _source(name: str) -> str:
    """Return a file that stands in the page as it is."""
    return (TEMPLATES / name).read_text(encoding="utf-8")
