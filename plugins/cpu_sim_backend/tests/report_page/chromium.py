"""A headless Chromium of the machine; tests that need one are skipped where there is none."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, List, Optional, Tuple

NAMES = ("chromium", "chromium-browser", "google-chrome")

QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--v=0",
)
"""The browser asks nobody for anything, and writes what a page says on its console."""

CONSOLE = re.compile(r":CONSOLE[(:\d)]+\] (.*)")
LIMIT = 120


def program() -> Optional[str]:
    """Return the path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def run(page: Path, *options: str) -> Tuple[str, List[str]]:
    """Open a file; return what Chromium prints and the messages on the console of the page."""
    found = program()
    assert found is not None
    profile = page.parent / "profile"
    command = [found, *QUIET, f"--user-data-dir={profile}", *options, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=True)
    shutil.rmtree(profile, ignore_errors=True)
    return done.stdout, CONSOLE.findall(done.stderr)


def ask(folder: Path, page: str, width: int, question: str) -> Tuple[Any, List[str]]:
    """Show a page in a frame of ``width`` CSS pixels and put a question to it.

    The frame is of the same origin, and the page's own policy holds in it but not for the question.

    Args:
        folder: where files may be written.
        page: HTML.
        width: of the frame.
        question: the body of a function of ``page``, the frame's window, that returns JSON.

    Returns:
        The answer, and the messages on the console.
    """
    frame = json.dumps(page).replace("</", "<\\/").replace("<!--", "<\\u0021--")
    file = folder / "frame.html"
    file.write_text(
        "<!DOCTYPE html><meta charset='utf-8'><body><script>"
        "const frame = document.createElement('iframe');"
        f"frame.style = 'border:0;width:{width}px;height:900px';"
        "frame.onload = () => {"
        "  const answer = document.createElement('pre');"
        f"  const ask = page => {{ {question} }};"
        "  answer.textContent = 'ANSWER' + btoa(unescape(encodeURIComponent("
        "    JSON.stringify(ask(frame.contentWindow))))) + 'END';"
        "  document.body.append(answer);"
        "};"
        f"frame.srcdoc = {frame};"
        "document.body.append(frame);"
        "</script></body>",
        encoding="utf-8",
    )
    printed, console = run(file, "--dump-dom", "--window-size=1400,1000")
    found = re.search(r"ANSWER([\w+/=]+)END", printed)
    assert found is not None, (console, printed[-500:])
    return json.loads(base64.b64decode(found[1]).decode("utf-8")), console
